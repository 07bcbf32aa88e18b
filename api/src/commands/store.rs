//! `flowbot store`.

use anyhow::bail;
use infrastructure::event_store::guard::{self, Adoption};
use sqlx::PgPool;

use crate::config::AdoptOptions;

/// Accepts a log that was restored from another cluster or database.
///
/// # Errors
/// Something waits to be sent and nobody said what is to become of it, or the database.
pub async fn adopt(pool: &PgPool, options: AdoptOptions) -> anyhow::Result<()> {
    let keep = match (options.keep_outbox, options.drop_outbox) {
        (true, _) => Some(true),
        (false, true) => Some(false),
        (false, false) => None,
    };
    match guard::adopt(pool, keep).await? {
        Adoption::NothingToAdopt => say!("There is nothing to adopt: this log was written here."),
        Adoption::Undecided(waiting) => bail!(
            "nothing was adopted: {waiting} wait in this copy, and where it was made they may be done by now; say --keep-outbox \
             to do them here (this copy takes the place of the original), or --drop-outbox to give them up (the original lives on)"
        ),
        Adoption::Adopted { epoch, waiting } => {
            say!("The log is adopted: new events are of epoch {epoch} and come after everything that is there.");
            if !waiting.is_empty() {
                say!("{}: {waiting}.", if keep == Some(true) { "Kept" } else { "Given up" });
            }
        }
    }
    Ok(())
}
