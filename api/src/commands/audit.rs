//! `flowbot audit verify`.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use anyhow::{Context, bail, ensure};
use application::audit::Range;
use infrastructure::sealing::{export_file, head_file, verify as sealed};
use infrastructure::security::master_key::load_secret_key;
use sqlx::PgPool;

use crate::compose::secret_box;
use crate::config::{Config, Verify};

/// Recomputes the chain. Without the master key, whoever can write the database could have signed it: it says so.
///
/// # Errors
/// A batch is not as it was sealed, which the error names, or the database.
pub async fn verify(pool: &PgPool, config: &Config, what: &Verify) -> anyhow::Result<()> {
    let key = match &config.secret_key {
        Some(key) => Some(*key.expose()),
        None => load_secret_key(&config.data_dir)?,
    };
    let secrets = key.as_ref().map(|key| secret_box(config, key));
    let head = match &what.head {
        Some(file) => Some(head_file::read(file)?),
        None => head_file::read_in(&config.data_dir)?,
    };
    let range = Range { from: what.from, to: what.to };
    ensure!(range.from.unwrap_or(1) <= range.to.unwrap_or(i64::MAX), "--from is behind --to");
    let verified = sealed::verify(pool, secrets.as_ref(), range, head.as_ref()).await?;
    if let Some(bad) = verified.bad {
        bail!("the log is not as it was sealed: batch {}: {}", bad.batch, bad.reason);
    }
    say!("Valid: {} batches, sealed to event {}", verified.batches, verified.sealed_to);
    match &head {
        Some(head) => say!("The log has the head that was kept of batch {}, event {}", head.batch, head.number),
        None => say!("No head was kept elsewhere: a log cut together with its seals would look the same"),
    }
    if secrets.is_none() {
        say!("The master key is not here: the signatures were checked with the keys the database names");
    }
    if let (Some(head), Some(public)) = (verified.head, verified.public_key) {
        say!("Head {} {} signed with {public}", head.batch, head.chain);
    }
    Ok(())
}

/// Checks an export without a database; with a head, it has to be of the same key.
///
/// # Errors
/// The export is not whole or not as it was sent; the error names the batch or the line.
pub fn verify_export(export: &Path, head: Option<&Path>) -> anyhow::Result<()> {
    let file = File::open(export).with_context(|| format!("cannot read {}", export.display()))?;
    let manifest = export_file::check(BufReader::new(file)).context("the export is not valid")?;
    if let Some(head) = head.map(head_file::read).transpose()? {
        ensure!(
            head.key_id == manifest.key_id,
            "the export is signed with {}, the head with {}",
            manifest.key_id,
            head.key_id
        );
    }
    say!("Valid: {} events, {} batches", manifest.events, manifest.batches);
    if let Some(head) = &manifest.head {
        say!("Head {} {}", head.batch, head.chain);
    }
    say!("Signed with {}: compare it with the key FlowBot shows at /api/audit/verify", manifest.public_key);
    Ok(())
}
