//! A new master key: what is sealed under the former one is sealed again, while everything runs. No event is touched:
//! events are sealed with contacts' keys, and only those are wrapped by the master key.

use domain::shared::ids::{ContactId, TenantId};
use sqlx::{PgPool, Row};
use uuid::Uuid;

use crate::event_store::keys::place_of;
use crate::postgres::lines;
use crate::sealing::keys::{self, KeyError};
use crate::security::secret_box::{SecretBox, SecretBoxError};

/// Values sealed again at a time, in one short transaction.
const PAGE: i64 = 500;

/// A column of values that are sealed under the master key.
struct Column {
    table: &'static str,
    value: &'static str,
    /// With the account, what a row is found by.
    key: &'static str,
    key_type: &'static str,
    place: fn(TenantId, &str) -> String,
}

/// Every such column that belongs to an account; the key that signs the log has a room of its own.
const COLUMNS: [Column; 4] = [
    Column {
        table: "contact_keys",
        value: "wrapped",
        key: "contact_id",
        key_type: "uuid",
        place: |tenant, contact| place_of(tenant, ContactId(contact.parse().unwrap_or_default())),
    },
    line("access_token_sealed", |tenant, _| lines::place_of(tenant, lines::ACCESS_TOKEN)),
    line("app_secret_sealed", |tenant, _| lines::place_of(tenant, lines::APP_SECRET)),
    line("verify_token_sealed", |tenant, _| lines::place_of(tenant, lines::VERIFY_TOKEN)),
];

const fn line(value: &'static str, place: fn(TenantId, &str) -> String) -> Column {
    Column { table: "whatsapp_lines", value, key: "phone_number_id", key_type: "text", place }
}

/// Why the rotation stopped. Done again, it goes on.
#[derive(Debug, thiserror::Error)]
pub enum RotationError {
    /// The database.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    /// The key that signs the log.
    #[error(transparent)]
    Signing(#[from] KeyError),
    /// A value opens under neither key.
    #[error("{table}.{column} of {key}: {source}")]
    Sealed {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
        /// The row.
        key: String,
        /// Why.
        source: SecretBoxError,
    },
}

/// Seals everything under the present key of `secrets`; how much was not yet. Several processes may do it at once.
///
/// # Errors
/// The database, or a value that opens under no key of `secrets`; what was done stays done.
pub async fn rotate(pool: &PgPool, secrets: &SecretBox) -> Result<u64, RotationError> {
    let mut all = 0;
    for column in &COLUMNS {
        let mut after: Option<(Uuid, String)> = None;
        while let Some((last, done)) = page(pool, secrets, column, after).await? {
            after = Some(last);
            all += done;
        }
    }
    Ok(all + keys::rewrap(pool, secrets).await?)
}

/// One page; the last row it looked at and how many it changed, or none when there are no more.
async fn page(
    pool: &PgPool,
    secrets: &SecretBox,
    column: &Column,
    after: Option<(Uuid, String)>,
) -> Result<Option<((Uuid, String), u64)>, RotationError> {
    let Column { table, value, key, key_type, place } = column;
    let (tenant, last) = after.unzip();
    let select = format!(
        "select tenant_id, {key}::text as key, {value} as sealed from {table}
          where {value} is not null and ($1::uuid is null or (tenant_id, {key}) > ($1, $2::text::{key_type}))
          order by tenant_id, {key} limit {PAGE}"
    );
    let rows = sqlx::query(&select).bind(tenant).bind(last).fetch_all(pool).await?;
    let mut changes: (Vec<Uuid>, Vec<String>, Vec<String>, Vec<String>) = Default::default();
    let mut last = None;
    for row in rows {
        let (tenant, key): (Uuid, String) = (row.try_get("tenant_id")?, row.try_get("key")?);
        let sealed: String = row.try_get("sealed")?;
        if secrets.is_outdated(&sealed) {
            let at = place(TenantId(tenant), &key);
            let again = secrets.open(&sealed, &at).and_then(|plain| secrets.seal(&plain, &at));
            let again =
                again.map_err(|source| RotationError::Sealed { table, column: value, key: key.clone(), source })?;
            changes.0.push(tenant);
            changes.1.push(key.clone());
            changes.2.push(sealed);
            changes.3.push(again);
        }
        last = Some((tenant, key));
    }
    let Some(last) = last else { return Ok(None) };
    // What was changed meanwhile is sealed under the present key already, or destroyed.
    let update = format!(
        "update {table} t set {value} = u.again
           from unnest($1::uuid[], $2::text[], $3::text[], $4::text[]) as u(tenant_id, key, sealed, again)
          where t.tenant_id = u.tenant_id and t.{key} = u.key::{key_type} and t.{value} = u.sealed"
    );
    let update = sqlx::query(&update).bind(changes.0).bind(changes.1).bind(changes.2).bind(changes.3);
    Ok(Some((last, update.execute(pool).await?.rows_affected())))
}
