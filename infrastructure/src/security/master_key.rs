//! The master key: 32 bytes in a file of the data directory, made once.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use anyhow::{Context, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::security::random_bytes;

const FILE_NAME: &str = "secret.key";

/// The master key kept in `data_dir/secret.key`, made there when it is missing (mode 0600, base64).
/// Two processes that start at once end up with the same key: the file appears whole or not at all.
///
/// # Errors
/// When the directory cannot be written, or the file holds something else than 32 bytes in base64.
/// It is never replaced: values sealed under it could not be opened any more.
pub fn load_or_create_secret_key(data_dir: &Path) -> anyhow::Result<[u8; 32]> {
    let path = data_dir.join(FILE_NAME);
    if !path.try_exists().with_context(|| format!("cannot look for {}", path.display()))? {
        create(data_dir, &path).with_context(|| format!("cannot write {}", path.display()))?;
    }
    load(&path)
}

/// The master key kept in `data_dir/secret.key`, when there is one.
///
/// # Errors
/// The file cannot be read, or holds something else than 32 bytes in base64.
pub fn load_secret_key(data_dir: &Path) -> anyhow::Result<Option<[u8; 32]>> {
    let path = data_dir.join(FILE_NAME);
    if path.try_exists().with_context(|| format!("cannot look for {}", path.display()))? {
        load(&path).map(Some)
    } else {
        Ok(None)
    }
}

fn load(path: &Path) -> anyhow::Result<[u8; 32]> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mode = fs::metadata(path)?.permissions().mode();
    if mode & 0o077 != 0 {
        tracing::warn!("{} is open to other users (mode {:o}); make it 0600", path.display(), mode & 0o777);
    }
    let bytes = STANDARD.decode(text.trim()).unwrap_or_default();
    match bytes.try_into() {
        Ok(key) => Ok(key),
        Err(_) => bail!("{} does not hold 32 bytes in base64", path.display()),
    }
}

fn create(data_dir: &Path, path: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(data_dir)?;
    let draft = data_dir.join(format!("{FILE_NAME}.{}", hex::encode(random_bytes::<8>()?)));
    let written = write_private(&draft, &STANDARD.encode(random_bytes::<32>()?));
    // A link, unlike a rename, never replaces a key another process made in the meantime.
    let linked = written.and_then(|()| fs::hard_link(&draft, path));
    let _ = fs::remove_file(&draft);
    match linked {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error.into()),
        Ok(()) | Err(_) => Ok(File::open(data_dir)?.sync_all()?),
    }
}

fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    writeln!(file, "{text}")?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_made_once_kept_private_and_never_replaced() {
        let folder = std::env::temp_dir().join(format!("flowbot-key-{}", uuid::Uuid::new_v4()));
        let threads: Vec<_> = (0..8)
            .map(|_| {
                let folder = folder.clone();
                std::thread::spawn(move || load_or_create_secret_key(&folder).unwrap())
            })
            .collect();
        let together: Vec<_> = threads.into_iter().map(|it| it.join().unwrap()).collect();
        assert!(together.iter().all(|key| *key == together[0]));
        let path = folder.join(FILE_NAME);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "no draft is left behind");

        fs::write(&path, "c2hvcnQ=").unwrap();
        assert!(load_or_create_secret_key(&folder).unwrap_err().to_string().contains("32 bytes"));
        fs::remove_dir_all(folder).unwrap();
    }
}
