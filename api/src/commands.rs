//! The commands of the command line.

/// Prints a line. Whoever stopped reading (`flowbot openapi | head`) ends nothing: the work goes on and cleans up.
macro_rules! say {
    ($($arg:tt)*) => {{
        use std::io::Write;
        drop(writeln!(std::io::stdout(), $($arg)*));
    }};
}

pub mod audit;
pub mod demo;
pub mod history;
pub mod projections;
pub mod rebuild;
pub mod serve;
pub mod store;
pub mod user;

use std::sync::Arc;

use infrastructure::event_store::keys::KeyRing;

use crate::compose::database::Database;
use crate::compose::{logging, master_key, secret_box};
use crate::config::{AuditCommand, Cli, Command, Config, StoreCommand, UserCommand};
use crate::openapi;

/// Does what the command line says.
///
/// # Errors
/// One line a person can act on.
pub async fn run(cli: Cli) -> anyhow::Result<()> {
    if matches!(cli.command, Command::Openapi) {
        say!("{}", openapi::document());
        return Ok(());
    }
    let config = Config::from(&cli)?;
    // The demo's transcript is what its reader came for.
    let quiet = matches!(cli.command, Command::Demo { .. }) && cli.options.rust_log.is_none();
    logging::start(if quiet { "warn" } else { &config.log });
    match cli.command {
        Command::Openapi => Ok(()),
        Command::Serve => serve::run(&cli.options).await,
        Command::Demo { exit } => demo::run(&cli.options, exit).await,
        Command::Migrate => {
            let database = Database::migrated(&config).await?;
            say!("The database has this build's schema.");
            database.close().await;
            Ok(())
        }
        Command::Store { command: StoreCommand::Adopt(options) } => {
            let database = Database::migrated(&config).await?;
            let result = store::adopt(&database.pool, options).await;
            database.close().await;
            result
        }
        Command::Projections => with_log(&config, async |pool, keys| projections::run(pool, &keys).await).await,
        Command::Rebuild { name } => with_log(&config, async |pool, keys| rebuild::run(pool, &keys, &name).await).await,
        Command::History(asked) => with_log(&config, async |pool, keys| history::run(pool, &keys, asked).await).await,
        Command::Audit { command: AuditCommand::Verify(what) } => match &what.export {
            Some(export) => audit::verify_export(export, what.head.as_deref()),
            None => with_database(&config, async |pool| audit::verify(pool, &config, &what).await).await,
        },
        Command::User { command: UserCommand::Create(user) } => {
            with_database(&config, async |pool| user::create(pool, &config, user).await).await
        }
    }
}

/// Does something on the migrated database, if its log was written there, and leaves it as it was.
async fn with_database(
    config: &Config,
    work: impl AsyncFnOnce(&sqlx::PgPool) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let database = Database::guarded(config).await?;
    let result = work(&database.pool).await;
    database.close().await;
    result
}

/// As [`with_database`], for what reads the log.
async fn with_log(
    config: &Config,
    work: impl AsyncFnOnce(&sqlx::PgPool, Arc<KeyRing>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let master = secret_box(config, &master_key(config)?);
    with_database(config, async |pool| work(pool, Arc::new(KeyRing::new(pool.clone(), master))).await).await
}
