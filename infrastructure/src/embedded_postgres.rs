//! A private PostgreSQL server in the data directory, for whoever sets no `DATABASE_URL`.
//!
//! Invariants: it listens on a unix socket only; it outlives a killed FlowBot and the next start finds it
//! again; any number of FlowBot processes share the server of one data directory, and the last one to
//! stop stops it.

mod binaries;
mod cluster;
mod package;
mod place;
mod programs;
mod server_user;
mod write_ahead;
#[cfg(target_os = "linux")]
mod write_back;

use std::fs::{self, File, TryLockError};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::{ConnectOptions, Connection, PgConnection};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};

use cluster::Cluster;
use place::{Place, SOCKET_FILE};

/// The database made for FlowBot.
pub const DATABASE: &str = "flowbot";

/// How long a server that is starting, recovering or just ending is waited for.
const READY_WITHIN: Duration = Duration::from_secs(90);
const READY_PAUSE: Duration = Duration::from_millis(50);

/// How often a server that should run is looked at.
const WATCH_PAUSE: Duration = Duration::from_secs(1);

/// Held alone while the server is started or stopped.
const START_LOCK: &str = "postgres-start.lock";
/// Shared by everyone who uses the server.
const USE_LOCK: &str = "postgres-in-use.lock";

/// What a cluster is for.
#[derive(Debug, Clone, Copy, Default)]
pub struct Settings {
    /// For tests: nothing is forced to disk, so a machine's crash (not a process's) may cost the data.
    pub fast: bool,
}

/// A share in the private server. Dropping it leaves the server running; [`EmbeddedPostgres::stop`] ends it.
#[derive(Debug)]
pub struct EmbeddedPostgres {
    cluster: Cluster,
    data_dir: PathBuf,
    in_use: File,
    settings: Settings,
    /// Set when this share is given up: from then on nothing is started again on its behalf.
    given_up: Arc<AtomicBool>,
}

/// Starts the private server of `data_dir`, or joins the one that runs there, and makes the database
/// [`DATABASE`]. `announce` is told what takes long or leaves a trace outside the data directory.
///
/// # Errors
/// One error that says what to do: when there is no PostgreSQL from version 15 on and none can be fetched, when the
/// data belong to another version or user, or when the server does not start.
pub async fn start(data_dir: &Path, announce: impl Fn(&str)) -> anyhow::Result<EmbeddedPostgres> {
    start_with(data_dir, Settings::default(), announce).await
}

/// As [`start`], with other settings; they count only for whoever starts the server, not for who joins.
///
/// # Errors
/// As [`start`].
pub async fn start_with(
    data_dir: &Path,
    settings: Settings,
    announce: impl Fn(&str),
) -> anyhow::Result<EmbeddedPostgres> {
    let wanted_dir = data_dir.to_owned();
    let (data_dir, lock) = spawn_blocking(move || lock_for_start(&wanted_dir)).await??;
    let (dir, fast) = (data_dir.clone(), settings.fast);
    let (place, user) = spawn_blocking(move || Place::prepare(&dir, fast)).await??;
    if place.moved {
        announce(&format!(
            "PostgreSQL's user cannot enter {}; its files are in {}",
            data_dir.display(),
            place.home.display()
        ));
    }
    let binaries = programs::find(&place, &user, &announce).await?;
    if place.major()?.is_none() {
        announce(&format!("Making a private PostgreSQL {} cluster in {}", binaries.major, place.home.display()));
    }
    let cluster = become_ready(Cluster { place, user, binaries }, settings).await?;
    let in_use = File::create(data_dir.join(USE_LOCK))?;
    in_use.lock_shared().context("cannot mark the private server as used")?;
    drop(lock);
    Ok(EmbeddedPostgres { cluster, data_dir, in_use, settings, given_up: Arc::default() })
}

impl EmbeddedPostgres {
    /// How to connect to one of the server's databases: over its socket, as its superuser, with no password.
    #[must_use]
    pub fn connect_options(&self, database: &str) -> PgConnectOptions {
        connect_options(&self.cluster.place, database)
    }

    /// The URL of [`DATABASE`], as psql and FlowBot's own `DATABASE_URL` take it.
    #[must_use]
    pub fn url(&self) -> String {
        let host = percent_encoded(&self.cluster.place.socket_dir);
        format!("postgres:///{DATABASE}?host={host}&port=5432&user=postgres")
    }

    /// Starts the server again whenever it is gone while this share is held: killed for its memory, say. On Linux, what its
    /// tables grow by is written back soon, too, lest commits wait for half a minute's worth of it. Never ends by
    /// itself. The processes of one data directory may all watch; one of them starts the server.
    pub async fn watch(&self) {
        #[cfg(target_os = "linux")]
        if !self.settings.fast {
            tokio::join!(self.start_when_gone(), write_back::little_by_little(&self.cluster.place.data));
        }
        self.start_when_gone().await;
    }

    /// Never ends.
    async fn start_when_gone(&self) {
        loop {
            sleep(WATCH_PAUSE).await;
            if self.is_alive() {
                continue;
            }
            match self.start_again().await {
                Ok(()) if self.is_alive() => tracing::warn!("The private PostgreSQL server had ended; it runs again"),
                // What is dying still counts as running; the next look finds it dead.
                Ok(()) => {}
                Err(error) => tracing::error!("The private PostgreSQL server does not start again: {error:#}"),
            }
        }
    }

    /// Whether somebody is behind its socket: so it is for as long as the server lives, even when it answers nobody yet.
    fn is_alive(&self) -> bool {
        UnixStream::connect(self.cluster.place.socket_dir.join(SOCKET_FILE)).is_ok()
    }

    async fn start_again(&self) -> anyhow::Result<()> {
        let (cluster, settings, given_up) = (self.cluster.clone(), self.settings, Arc::clone(&self.given_up));
        let lock = self.data_dir.join(START_LOCK);
        let started = spawn_blocking(move || {
            let _lock = exclusive(&lock)?;
            if given_up.load(Ordering::Acquire) { Ok(()) } else { cluster.ensure_started(&settings) }
        });
        started.await?
    }

    /// Gives up this share, and stops the server if nobody else has one. Says whether it stopped.
    ///
    /// # Errors
    /// When the server does not end in time.
    pub async fn stop(self) -> anyhow::Result<bool> {
        spawn_blocking(move || self.stop_if_last(false)).await?
    }

    /// As [`EmbeddedPostgres::stop`], and deletes the cluster too if it stopped: for throw-away data directories.
    ///
    /// # Errors
    /// When the server does not end in time, or something cannot be deleted.
    pub async fn stop_and_remove(self) -> anyhow::Result<bool> {
        spawn_blocking(move || self.stop_if_last(true)).await?
    }

    fn stop_if_last(self, remove: bool) -> anyhow::Result<bool> {
        self.given_up.store(true, Ordering::Release);
        let _lock = exclusive(&self.data_dir.join(START_LOCK))?;
        self.in_use.unlock()?;
        match self.in_use.try_lock() {
            Ok(()) => self.cluster.stop()?,
            Err(TryLockError::WouldBlock) => return Ok(false),
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
        if remove {
            self.cluster.place.remove(&self.data_dir).context("cannot delete the throw-away cluster")?;
        }
        Ok(true)
    }
}

fn lock_for_start(data_dir: &Path) -> anyhow::Result<(PathBuf, File)> {
    fs::create_dir_all(data_dir).with_context(|| format!("cannot make {}", data_dir.display()))?;
    let data_dir = fs::canonicalize(data_dir).with_context(|| format!("cannot find {}", data_dir.display()))?;
    let lock = exclusive(&data_dir.join(START_LOCK))?;
    Ok((data_dir, lock))
}

fn exclusive(path: &Path) -> anyhow::Result<File> {
    let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
    file.lock().with_context(|| format!("cannot lock {}", path.display()))?;
    Ok(file)
}

/// Starts the server and comes back once it answers and has our database. A server found running may be
/// about to end or may still be starting, so both are tried until one works.
async fn become_ready(mut cluster: Cluster, settings: Settings) -> anyhow::Result<Cluster> {
    let deadline = Instant::now() + READY_WITHIN;
    loop {
        let started = spawn_blocking(move || {
            let outcome = cluster.ensure_started(&settings);
            (cluster, outcome)
        });
        let (back, outcome) = started.await?;
        outcome?;
        cluster = back;
        match create_database(&cluster.place).await {
            Ok(()) => return Ok(cluster),
            Err(error) if Instant::now() > deadline => {
                return Err(error).context("the private PostgreSQL server runs but does not answer");
            }
            Err(_) => sleep(READY_PAUSE).await,
        }
    }
}

async fn create_database(place: &Place) -> sqlx::Result<()> {
    let mut connection: PgConnection = connect_options(place, "postgres").connect().await?;
    let there: bool = sqlx::query_scalar("select exists (select from pg_database where datname = $1)")
        .bind(DATABASE)
        .fetch_one(&mut connection)
        .await?;
    if !there {
        // `DATABASE` is a constant word; identifiers cannot be bound.
        sqlx::query(&format!("create database {DATABASE}")).execute(&mut connection).await?;
    }
    connection.close().await
}

fn connect_options(place: &Place, database: &str) -> PgConnectOptions {
    PgConnectOptions::new_without_pgpass()
        .socket(&place.socket_dir)
        .port(5432)
        .username("postgres")
        .database(database)
        .ssl_mode(PgSslMode::Disable)
}

/// A path as the value of a URL parameter.
fn percent_encoded(path: &Path) -> String {
    let bytes = path.as_os_str().as_encoded_bytes().iter();
    bytes.fold(String::new(), |text, byte| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' => text + &char::from(*byte).to_string(),
        other => text + &format!("%{other:02X}"),
    })
}

#[cfg(test)]
mod tests;
