//! The database: the one that is named, or a private one.

use std::str::FromStr;

use anyhow::{Context, bail};
use infrastructure::embedded_postgres::{self, DATABASE, EmbeddedPostgres};
use infrastructure::event_store::guard;
use infrastructure::postgres::{migrations, pool};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, PgPool};

use crate::config::Config;

/// A database, and the private server behind it, if it is ours.
pub struct Database {
    /// Connections.
    pub pool: PgPool,
    /// The private server.
    pub private: Option<EmbeddedPostgres>,
}

impl Database {
    /// Connects, starting the private server when no database is named.
    ///
    /// # Errors
    /// There is no database to be had.
    pub async fn open(config: &Config) -> anyhow::Result<Self> {
        let (options, private) = match &config.database_url {
            Some(url) => (PgConnectOptions::from_str(url.expose()).context("DATABASE_URL is no Postgres URL")?, None),
            None => {
                let server = embedded_postgres::start(&config.data_dir, |line| tracing::info!("{line}")).await?;
                (server.connect_options(DATABASE), Some(server))
            }
        };
        let pool = match pool::connect(options.clone(), pool::NAME, pool::connections_max()).await {
            Ok(pool) => pool,
            Err(error) => {
                let named = if private.is_none() { "DATABASE_URL: " } else { "" };
                bail!("{named}the database cannot be reached: {}", reason(options, error).await);
            }
        };
        Ok(Self { pool, private })
    }

    /// As [`Database::open`], with the schema of this build.
    ///
    /// # Errors
    /// There is no database to be had, or a migration fails.
    pub async fn migrated(config: &Config) -> anyhow::Result<Self> {
        let database = Self::open(config).await?;
        if let Err(error) = migrations::migrate(&database.pool).await {
            database.close().await;
            return Err(error).context("a migration failed");
        }
        Ok(database)
    }

    /// As [`Database::migrated`], with a log that was written there: what everything starts with.
    ///
    /// # Errors
    /// There is no database to be had, a migration fails, or the log was restored and nobody has adopted it.
    pub async fn guarded(config: &Config) -> anyhow::Result<Self> {
        let database = Self::migrated(config).await?;
        if let Err(refused) = guard::check(&database.pool).await {
            database.close().await;
            return Err(refused.into());
        }
        Ok(database)
    }

    /// Keeps the private server running; never ends.
    pub async fn watch(&self) {
        match &self.private {
            Some(server) => server.watch().await,
            None => std::future::pending().await,
        }
    }

    /// Closes the connections, then stops the private server unless another process uses it.
    pub async fn close(self) {
        self.pool.close().await;
        if let Some(server) = self.private
            && let Err(error) = server.stop().await
        {
            tracing::warn!("The private server did not stop: {error:#}");
        }
    }
}

/// A pool only says that it waited in vain; a connection of its own says why.
async fn reason(options: PgConnectOptions, error: sqlx::Error) -> sqlx::Error {
    match tokio::time::timeout(pool::ACQUIRE_MAX, options.connect()).await {
        Ok(Err(reason)) => reason,
        Ok(Ok(_)) | Err(_) => error,
    }
}
