//! The migrations, in the binary: a list you can read.

use std::borrow::Cow;

use sqlx::PgPool;
use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};

macro_rules! migrations {
    ($($version:literal $name:literal),+ $(,)?) => {
        &[$(($version, $name, include_str!(concat!("../../../migrations/", $version, "_", $name, ".sql")))),+]
    };
}

const MIGRATIONS: &[(i64, &str, &str)] = migrations! {
    20261122090000 "event_store",
    20261122090100 "projections",
    20261122090200 "outbox",
    20261122090300 "webhook_journal",
    20261122090400 "accounts",
    20261122090500 "views",
    20261122100000 "contact_keys",
    20261122100100 "store_guard",
    20261122100200 "seals",
    20261122100300 "idempotency",
    20261122100400 "generations",
    20261122100500 "run_index",
    20261122100600 "tenant_log",
    20261128070000 "template_views",
    20261128070100 "template_accounts",
    20261128090000 "access",
    20261128100000 "registration",
    20261128100100 "verification_codes",
    20261128110000 "social_identities",
    20261128110100 "session_use",
    20261128110200 "signing_keys",
    20261128110300 "api_key_prefix",
    20261128120000 "leaving",
    20261128120100 "employees",
    20261128120200 "tasks",
    20261128120300 "audit_log",
    20261128130000 "limits",
    20261128150000 "incidents",
    20261128150100 "queue_log",
    20261128150200 "view_message_delivery",
    20261128160000 "claims_index",
    20261128160100 "employees_addresses",
    20261128160200 "left_behind",
    20261128165000 "bulk_sends",
    20261128170000 "template_batches",
    20261128170100 "template_snapshots",
    20261128170200 "view_message_template",
    20261128171000 "appointment_view",
    20261128171100 "appointment_slots",
    20261128190000 "documents_unanalysed",
    20261128191000 "fewer_rows",
    20261129090000 "message_index",
    20261129100000 "tokens_are_leases",
    20261130100000 "comparison_place",
};

/// Brings the database to this build's schema. Several processes may try at once; one does it.
///
/// # Errors
/// A migration fails, or the database is newer than this build.
pub async fn migrate(pool: &PgPool) -> Result<(), MigrateError> {
    let migration = |(version, name, sql): &(i64, &'static str, &'static str)| {
        Migration::new(*version, Cow::Borrowed(*name), MigrationType::Simple, Cow::Borrowed(*sql), false)
    };
    let migrations = MIGRATIONS.iter().map(migration).collect();
    Migrator { migrations: Cow::Owned(migrations), ..Migrator::DEFAULT }.run(pool).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_listed() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../migrations");
        let mut files: Vec<String> = std::fs::read_dir(folder)
            .expect("the migrations")
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
            .collect();
        files.sort();
        let listed: Vec<String> = MIGRATIONS.iter().map(|(version, name, _)| format!("{version}_{name}.sql")).collect();
        assert_eq!(files, listed);
    }
}
