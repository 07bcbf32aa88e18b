//! One cluster of PostgreSQL: made once, configured on every start, started and stopped with pg_ctl.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::Context;

use super::Settings;
use super::binaries::Binaries;
use super::place::Place;
use super::server_user::{ServerUser, tail};
use super::write_ahead::{self, SEGMENT_MB, SEGMENTS};

/// How long pg_ctl waits for the server, in seconds.
const START_TIMEOUT_S: &str = "60";
const STOP_TIMEOUT_S: &str = "60";

/// A start is repeated when, after a crash, the old server's last processes still hold its memory.
const START_ATTEMPTS_MAX: u32 = 5;
const MEMORY_HELD: &str = "is still in use";
const START_PAUSE: Duration = Duration::from_secs(1);

/// The log is put aside when a start finds it this big, in bytes.
const LOG_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// What every cluster of ours is set to; `alter system` still overrules it. What backends write is to go to the disk soon,
/// for the reason in `write_back.rs`.
const CONFIGURATION: &str = "\
listen_addresses = ''
port = 5432
unix_socket_permissions = 0700
shared_buffers = '256MB'
wal_compression = on
checkpoint_timeout = '15min'
autovacuum_naptime = '30s'
backend_flush_after = '256kB'
max_wal_size = '2GB'
idle_in_transaction_session_timeout = '5s'
jit = off
timezone = 'UTC'
";
const DURABLE: &str = "max_connections = 100\nfsync = on\nfull_page_writes = on\nsynchronous_commit = on\n";
const FAST: &str = "max_connections = 300\nfsync = off\nfull_page_writes = off\nsynchronous_commit = off\n";

/// A cluster with the programs to run it.
#[derive(Debug, Clone)]
pub(super) struct Cluster {
    pub place: Place,
    pub user: ServerUser,
    pub binaries: Binaries,
}

impl Cluster {
    /// Makes the cluster if there is none and starts its server if none runs. The caller holds the start lock.
    ///
    /// # Errors
    /// With the end of what initdb or the server printed.
    pub(super) fn ensure_started(&self, settings: &Settings) -> anyhow::Result<()> {
        if self.place.major()?.is_none() {
            self.create(settings)?;
        }
        if self.is_running() {
            return Ok(());
        }
        self.configure(settings)?;
        let mut attempt = 1;
        loop {
            match self.start() {
                Err(error) if attempt < START_ATTEMPTS_MAX && format!("{error:#}").contains(MEMORY_HELD) => {
                    std::thread::sleep(START_PAUSE);
                }
                outcome => return outcome,
            }
            attempt += 1;
        }
    }

    /// Ends every connection, lets the server write everything down and stops it.
    ///
    /// # Errors
    /// When it does not end in time.
    pub(super) fn stop(&self) -> anyhow::Result<()> {
        let mut command = self.program("pg_ctl");
        command.args(["stop", "-w", "-s", "-m", "fast", "-t", STOP_TIMEOUT_S, "-D"]).arg(&self.place.data);
        self.user.run(command, &self.place.log_dir.join("stop.out"))
    }

    /// The cluster takes its name when it is complete: one cut short by a kill is made anew.
    fn create(&self, settings: &Settings) -> anyhow::Result<()> {
        let draft = self.place.home.join("data.part");
        let utf8 = self.initdb(&draft, "C.UTF-8");
        utf8.or_else(|_| self.initdb(&draft, "C"))?;
        let path = draft.join("postgresql.conf");
        let shipped = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        fs::write(&path, format!("{shipped}\ninclude = '../flowbot.conf'\n"))?;
        if !settings.fast
            && let Err(error) = write_ahead::fill(&draft, &self.user)
        {
            tracing::warn!(%error, "The server will make its write-ahead log while others wait for it");
        }
        fs::rename(&draft, &self.place.data).context("cannot put the new cluster in its place")
    }

    fn initdb(&self, draft: &Path, locale: &str) -> anyhow::Result<()> {
        if draft.exists() {
            fs::remove_dir_all(draft)?;
        }
        fs::create_dir(draft)?;
        self.user.own(draft, 0o700)?;
        let mut command = self.program("initdb");
        command.args(["-U", "postgres", "-A", "trust", "-E", "UTF8", "--data-checksums", "--no-instructions"]);
        // Texts are keys here: they are compared byte by byte, not by a locale that does the same at more cost.
        command.arg(format!("--locale={locale}")).arg("--lc-collate=C").arg("-D").arg(draft);
        self.user.run(command, &self.place.log_dir.join("initdb.out"))
    }

    fn configure(&self, settings: &Settings) -> anyhow::Result<()> {
        let socket_dir = self.place.socket_dir.display().to_string().replace('\'', "''");
        let durability = if settings.fast { FAST } else { DURABLE };
        // What a new cluster was given stays.
        let kept = usize::from(SEGMENTS) * SEGMENT_MB;
        let text = format!(
            "# Written on every start.\n{CONFIGURATION}{durability}min_wal_size = '{kept}MB'\n\
             unix_socket_directories = '{socket_dir}'\n"
        );
        let path = self.place.home.join("flowbot.conf");
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o644))?;
        Ok(())
    }

    fn start(&self) -> anyhow::Result<()> {
        let log = self.place.log_dir.join("server.log");
        if fs::metadata(&log).is_ok_and(|it| it.len() > LOG_BYTES_MAX) {
            fs::rename(&log, log.with_extension("log.1"))?;
        }
        let mut command = self.program("pg_ctl");
        command.args(["start", "-w", "-s", "-t", START_TIMEOUT_S, "-D"]).arg(&self.place.data).arg("-l").arg(&log);
        let started = self.user.run(command, &self.place.log_dir.join("start.out"));
        started.with_context(|| format!("the server did not start; its log ends: {}", tail(&log)))
    }

    /// Whether this cluster's server is alive. Its pid file may be older than the machine's last start
    /// and name a process that is something else by now: such a file is removed.
    fn is_running(&self) -> bool {
        let mut command = self.program("pg_ctl");
        command.args(["status", "-s", "-D"]).arg(&self.place.data).stdout(Stdio::null()).stderr(Stdio::null());
        if !command.status().is_ok_and(|it| it.success()) {
            return false;
        }
        let pid_file = self.place.data.join("postmaster.pid");
        let text = fs::read_to_string(&pid_file).unwrap_or_default();
        let process = Path::new("/proc").join(text.lines().next().unwrap_or_default().trim());
        // The server's working directory is its data directory; where there is no /proc, pg_ctl's word stands.
        match (fs::read_link(process.join("cwd")), fs::canonicalize(&self.place.data)) {
            (Ok(found), Ok(data)) if found != data => fs::remove_file(&pid_file).is_err(),
            _ => true,
        }
    }

    fn program(&self, name: &str) -> Command {
        self.user.command(&self.binaries.dir.join(name))
    }
}
