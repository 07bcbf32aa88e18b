//! Where a cluster lives: its files, its socket, and what happens when the data directory will not do.

use std::fs::{self, DirBuilder};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::server_user::ServerUser;

/// Names the folder that stands in for `data_dir/postgres`.
const POINTER: &str = "postgres.location";

/// The longest path of a socket, in bytes: macOS takes 103, Linux 107.
const SOCKET_PATH_BYTES_MAX: usize = 103;
/// The name PostgreSQL gives the socket of port 5432.
pub(super) const SOCKET_FILE: &str = ".s.PGSQL.5432";

/// The folders of one cluster.
#[derive(Debug, Clone)]
pub(super) struct Place {
    /// What holds all of it; ours, readable to the server's user.
    pub home: PathBuf,
    /// The server's data directory.
    pub data: PathBuf,
    /// The folder of its socket.
    pub socket_dir: PathBuf,
    /// What it logs; and the output of the programs that start it.
    pub log_dir: PathBuf,
    /// Whether it lives outside the data directory it was asked for.
    pub moved: bool,
}

impl Place {
    /// Finds or makes the place of `data_dir`'s cluster (an absolute path). When the server's user cannot
    /// get into it (root's project under a private home, say) the cluster gets a folder of its own in a
    /// system directory, and a pointer file leads every later start there.
    ///
    /// # Errors
    /// When no folder can be made, or the one pointed to is gone.
    pub(super) fn prepare(data_dir: &Path, throw_away: bool) -> anyhow::Result<(Self, ServerUser)> {
        let (home, moved) = match fs::read_to_string(data_dir.join(POINTER)) {
            Ok(text) => (existing(data_dir, Path::new(text.trim_end_matches('\n')))?, true),
            Err(error) if error.kind() == ErrorKind::NotFound => (data_dir.join("postgres"), false),
            Err(error) => return Err(error).context(format!("cannot read {POINTER} in {}", data_dir.display())),
        };
        let user = ServerUser::for_cluster(&home.join("data"))?;
        if !moved {
            create_open(&home)?;
        }
        if user.reaches(&home) {
            return Ok((Self::in_home(home, moved, &user)?, user));
        }
        ensure!(!moved && !home.join("data").exists(), "user {} cannot get into {}", user.uid, home.display());
        let _ = fs::remove_dir(&home); // an empty leftover would do no harm
        let home = outside(data_dir, &user, throw_away)?;
        Ok((Self::in_home(home, true, &user)?, user))
    }

    fn in_home(home: PathBuf, moved: bool, user: &ServerUser) -> anyhow::Result<Self> {
        let log_dir = home.join("log");
        create_open(&log_dir)?;
        user.own(&log_dir, 0o700)?;
        let mut socket_dir = home.join("run");
        if socket_dir.join(SOCKET_FILE).as_os_str().len() > SOCKET_PATH_BYTES_MAX {
            socket_dir = short_socket_dir(&home);
        }
        create_owned(&socket_dir, user)?;
        Ok(Self { data: home.join("data"), socket_dir, log_dir, home, moved })
    }

    /// The major version of the cluster that is there, if one is.
    ///
    /// # Errors
    /// When its version file cannot be understood.
    pub(super) fn major(&self) -> anyhow::Result<Option<u32>> {
        let path = self.data.join("PG_VERSION");
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Some(text.trim().parse().with_context(|| format!("strange {}", path.display()))?)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
        }
    }

    /// Deletes the cluster; it must not run.
    ///
    /// # Errors
    /// When something cannot be deleted.
    pub(super) fn remove(&self, data_dir: &Path) -> std::io::Result<()> {
        for path in [&self.socket_dir, &self.home] {
            match fs::remove_dir_all(path) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
        }
        if self.moved { fs::remove_file(data_dir.join(POINTER)) } else { Ok(()) }
    }
}

fn existing(data_dir: &Path, home: &Path) -> anyhow::Result<PathBuf> {
    let pointer = data_dir.join(POINTER);
    ensure!(
        home.is_dir(),
        "{} says that the database is in {}, which is gone; bring it back, or delete {0} to begin with an empty one",
        pointer.display(),
        home.display(),
    );
    Ok(home.to_owned())
}

/// A new folder the server's user can get into, recorded in the pointer file before anything is in it.
/// Temporary directories come last for data that shall stay: systems empty them.
fn outside(data_dir: &Path, user: &ServerUser, throw_away: bool) -> anyhow::Result<PathBuf> {
    let (temporary, kept) = (std::env::temp_dir(), [PathBuf::from("/var/lib"), PathBuf::from("/var/tmp")]);
    let parents: Vec<_> = if throw_away { vec![temporary] } else { kept.into_iter().chain([temporary]).collect() };
    for parent in parents.into_iter().chain([PathBuf::from("/tmp")]) {
        let home = parent.join(format!("flowbot-postgres-{}", Uuid::new_v4().simple()));
        if DirBuilder::new().mode(0o755).create(&home).is_err() {
            continue;
        }
        create_open(&home)?;
        if user.reaches(&home) {
            fs::write(data_dir.join(POINTER), format!("{}\n", home.display()))?;
            return Ok(home);
        }
        fs::remove_dir(&home)?;
    }
    bail!("user {} can get neither into {} nor into a temporary directory", user.uid, data_dir.display())
}

fn create_open(dir: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(dir, open).with_context(|| format!("cannot open {} to the server's user", dir.display()))
}

/// A folder only the server's user can enter; one that somebody else made beforehand is refused.
fn create_owned(dir: &Path, user: &ServerUser) -> anyhow::Result<()> {
    match DirBuilder::new().mode(0o700).create(dir) {
        Ok(()) => user.own(dir, 0o700),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            let found = fs::symlink_metadata(dir)?;
            ensure!(
                found.is_dir() && [0, user.uid].contains(&found.uid()),
                "{} belongs to somebody else",
                dir.display()
            );
            user.own(dir, 0o700)
        }
        Err(error) => Err(error).with_context(|| format!("cannot make {}", dir.display())),
    }
}

/// Where the socket goes when its path would be too long for the operating system; always the same.
fn short_socket_dir(home: &Path) -> PathBuf {
    let name = format!("flowbot-{}", hex::encode(&Sha256::digest(home.as_os_str().as_encoded_bytes())[..8]));
    let dir = std::env::temp_dir().join(&name);
    let fits = dir.join(SOCKET_FILE).as_os_str().len() <= SOCKET_PATH_BYTES_MAX;
    if fits { dir } else { Path::new("/tmp").join(name) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn folder(name: &str, mode: u32) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("flowbot-place-{name}-{}", Uuid::new_v4().simple()));
        DirBuilder::new().mode(mode).create(&dir).unwrap();
        dir
    }

    #[test]
    fn a_long_path_gets_a_short_socket_that_stays_the_same() {
        let data_dir = folder(&"x".repeat(80), 0o755);
        let (place, _) = Place::prepare(&data_dir, true).unwrap();
        assert!(place.socket_dir.join(SOCKET_FILE).as_os_str().len() <= SOCKET_PATH_BYTES_MAX);
        assert_eq!(Place::prepare(&data_dir, true).unwrap().0.socket_dir, place.socket_dir);
        assert_eq!(fs::metadata(&place.socket_dir).unwrap().permissions().mode() & 0o777, 0o700);
        place.remove(&data_dir).unwrap();
        fs::remove_dir_all(data_dir).unwrap();
    }

    #[test]
    fn a_directory_the_server_cannot_enter_is_replaced_and_found_again() {
        let data_dir = folder("private", 0o700);
        let (place, user) = Place::prepare(&data_dir, true).unwrap();
        let again = Place::prepare(&data_dir, true).unwrap().0;
        assert_eq!(place.home, again.home);
        assert_eq!(place.moved, fs::metadata(&data_dir).unwrap().uid() != user.uid);
        assert!(user.reaches(&place.home) && user.reaches(&place.socket_dir));
        if place.moved {
            fs::remove_dir_all(&place.home).unwrap();
            let error = Place::prepare(&data_dir, true).unwrap_err().to_string();
            assert!(error.contains("which is gone"), "{error}");
        }
        place.remove(&data_dir).unwrap();
        fs::remove_dir_all(data_dir).unwrap();
    }

    #[test]
    fn a_strange_version_file_is_an_error_and_none_is_an_empty_place() {
        let data_dir = folder("version", 0o755);
        let (place, _) = Place::prepare(&data_dir, true).unwrap();
        assert_eq!(place.major().unwrap(), None);
        fs::create_dir(&place.data).unwrap();
        fs::write(place.data.join("PG_VERSION"), "15\n").unwrap();
        assert_eq!(place.major().unwrap(), Some(15));
        fs::write(place.data.join("PG_VERSION"), "?").unwrap();
        assert!(place.major().is_err());
        place.remove(&data_dir).unwrap();
        fs::remove_dir_all(data_dir).unwrap();
    }
}
