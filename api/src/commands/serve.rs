//! `flowbot serve`.

use anyhow::Context;

use crate::compose::database::Database;
use crate::compose::listener::Bound;
use crate::compose::server::{self, Setting};
use crate::config::{Cli, Command, Config, Options};

/// Binds, then reads the configuration again with the address the system chose: the URLs follow from it.
///
/// # Errors
/// The address is taken, or the configuration is wrong.
pub async fn bind(options: &Options) -> anyhow::Result<(Config, Bound)> {
    let read = |options: &Options| Config::from(&Cli { command: Command::Serve, options: options.clone() });
    let asked = read(options)?;
    let listener = Bound::bind(asked.listen).await.with_context(|| format!("cannot listen on {}", asked.listen))?;
    let bound = Options { listen: Some(listener.address.to_string()), ..options.clone() };
    Ok((read(&bound)?, listener))
}

/// Serves until SIGTERM or Ctrl-C.
///
/// # Errors
/// It cannot start.
pub async fn run(options: &Options) -> anyhow::Result<()> {
    let (config, listener) = bind(options).await?;
    let database = Database::guarded(&config).await?;
    // Whatever becomes of it, the private server is not left behind.
    let ended = serve(&config, &database, listener).await;
    database.close().await;
    ended
}

async fn serve(config: &Config, database: &Database, listener: Bound) -> anyhow::Result<()> {
    let mut running = server::start(config, Setting::configured(database.pool.clone(), config), listener).await?;
    if let Some(password) = &running.generated_password {
        // Once, and to the person at the terminal alone: never to the log.
        say!("The first administrator is `{}`, with the password {password}", config.admin_username);
    }
    say!("FlowBot listens on http://{} (reference: /docs)", config.listen);
    let ended = tokio::select! {
        ended = running.until_signal() => ended,
        () = database.watch() => Ok(()),
    };
    tracing::info!("Stopping");
    running.stop().await;
    ended
}
