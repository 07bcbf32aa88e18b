//! Which user the server runs as, and how its programs are called.

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, bail, ensure};

use super::binaries::parse_major;

/// PostgreSQL refuses to run as root; these take its place, in this order.
const STAND_INS: [&str; 2] = ["postgres", "nobody"];

/// How much of a failed program's output goes into the error, in lines.
const OUTPUT_LINES_MAX: usize = 12;

/// The user the server runs as: ourselves, or somebody unprivileged when we are root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ServerUser {
    pub uid: u32,
    gid: u32,
    /// Whether commands have to change to it.
    differs: bool,
}

impl ServerUser {
    /// The user for a cluster at `data`, which belongs to that user if it exists.
    ///
    /// # Errors
    /// When the cluster belongs to somebody we cannot become, or root finds nobody to run it as.
    pub(super) fn for_cluster(data: &Path) -> anyhow::Result<Self> {
        let (uid, gid) = (id(&["-u"])?, id(&["-g"])?);
        let owner = fs::metadata(data).ok().map(|it| (it.uid(), it.gid()));
        match owner {
            Some((owner, group)) if uid == 0 && owner != 0 => Ok(Self { uid: owner, gid: group, differs: true }),
            Some((owner, _)) if uid != 0 && owner != uid => {
                bail!("{} belongs to user {owner}; start as that user or as root", data.display())
            }
            Some(_) | None if uid != 0 => Ok(Self { uid, gid, differs: false }),
            Some(_) | None => Self::stand_in(),
        }
    }

    fn stand_in() -> anyhow::Result<Self> {
        for name in STAND_INS {
            if let (Ok(uid), Ok(gid)) = (id(&["-u", name]), id(&["-g", name])) {
                return Ok(Self { uid, gid, differs: true });
            }
        }
        bail!("PostgreSQL does not run as root, and there is neither a user postgres nor nobody; start as another user")
    }

    /// A program to be run as this user, in a process group of its own: Ctrl-C ends us first and the
    /// server only after us. No `PG…` variable of ours reaches it.
    pub(super) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir("/").env("LC_ALL", "C").stdin(Stdio::null()).process_group(0);
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("PG")) {
            command.env_remove(name);
        }
        if self.differs {
            command.uid(self.uid).gid(self.gid).env("HOME", "/");
        }
        command
    }

    /// Runs a command to its end with its output in the file `output`: a daemon it starts would keep a
    /// pipe open for ever.
    ///
    /// # Errors
    /// When it fails, with the end of what it printed.
    pub(super) fn run(&self, mut command: Command, output: &Path) -> anyhow::Result<()> {
        let program = command.get_program().to_string_lossy().into_owned();
        let file = File::create(output).with_context(|| format!("cannot write {}", output.display()))?;
        command.stdout(file.try_clone()?).stderr(file);
        let status = command.status().with_context(|| format!("cannot run {program}"))?;
        ensure!(status.success(), "{program} failed ({status}): {}", tail(output));
        Ok(())
    }

    /// Makes `path` this user's.
    ///
    /// # Errors
    /// When it cannot be given away.
    pub(super) fn own(&self, path: &Path, mode: u32) -> anyhow::Result<()> {
        fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
        if self.differs {
            chown(path, Some(self.uid), Some(self.gid)).with_context(|| format!("cannot chown {}", path.display()))?;
        }
        Ok(())
    }

    /// Whether this user can get into `dir`, through all the folders above it.
    pub(super) fn reaches(&self, dir: &Path) -> bool {
        let mut command = self.command(Path::new("/bin/sh"));
        command.args(["-c", "cd \"$1\"", "sh"]).arg(dir).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|it| it.success())
    }

    /// The major version of the programs in `dir`, or why this user cannot use them.
    pub(super) fn probe(&self, dir: &Path) -> Result<u32, String> {
        for program in ["initdb", "pg_ctl", "postgres"] {
            let output = self.command(&dir.join(program)).arg("--version").output();
            let output = output.map_err(|error| format!("user {} cannot run {program} ({error})", self.uid))?;
            if !output.status.success() {
                return Err(format!("{program} --version failed"));
            }
            if program == "postgres" {
                let printed = String::from_utf8_lossy(&output.stdout);
                return parse_major(&printed).ok_or_else(|| format!("strange version `{}`", printed.trim()));
            }
        }
        Err("holds no server".to_owned())
    }
}

/// What `id` prints: the one way to learn a user's number that is the same on every Unix.
fn id(arguments: &[&str]) -> anyhow::Result<u32> {
    let output = Command::new("id").args(arguments).stdin(Stdio::null()).output().context("cannot run id")?;
    let printed = String::from_utf8_lossy(&output.stdout);
    printed.trim().parse().with_context(|| format!("id {arguments:?} gave no number"))
}

/// The last lines of a file, on one line.
pub(super) fn tail(path: &Path) -> String {
    let text = fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<_> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines[lines.len().saturating_sub(OUTPUT_LINES_MAX)..].join(" | ")
}
