//! What tables grow by goes to the disk soon. A server makes new pages as zeros and leaves them to the system; Linux lets
//! them lie for half a minute and then writes all of them, and whoever commits meanwhile waits 40 to 600 ms.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::ops::Range;
use std::path::{Path, PathBuf};

use rustix::fs::{Advice, fadvise};

/// The files of a cluster's databases and how long they were when they were looked at last, in bytes; `None` before the
/// first look.
#[derive(Debug, Default)]
pub(super) struct WriteBack {
    lengths: Option<HashMap<PathBuf, u64>>,
}

impl WriteBack {
    /// Begins to write what the files of the cluster in `data` grew by since the last call. That is all it does: whether
    /// the writing succeeds is for the server's own fsync to see, so this must not be an fsync, which would be told
    /// instead of it.
    ///
    /// # Errors
    /// A folder or a file cannot be read. One that is gone is no error.
    pub(super) fn begin(&mut self, data: &Path) -> io::Result<()> {
        for (path, part) in self.grown(data)? {
            let Some(file) = unless_gone(File::open(path))? else { continue };
            // Linux: what is dirty there is handed to the disk, nobody waits for it.
            fadvise(&file, part.start, std::num::NonZeroU64::new(part.end - part.start), Advice::DontNeed)?;
        }
        Ok(())
    }

    /// What each file grew by since the last call, in bytes of it; nothing the first time.
    fn grown(&mut self, data: &Path) -> io::Result<Vec<(PathBuf, Range<u64>)>> {
        let (mut lengths, mut grown) = (HashMap::new(), Vec::new());
        for database in fs::read_dir(data.join("base"))? {
            let Some(files) = unless_gone(fs::read_dir(database?.path()))? else { continue };
            for file in files {
                let file = file?;
                let Some(length) = unless_gone(file.metadata())?.map(|it| it.len()) else { continue };
                let before = self.lengths.as_ref().map_or(length, |all| all.get(&file.path()).copied().unwrap_or(0));
                if length > before {
                    grown.push((file.path(), before..length));
                }
                lengths.insert(file.path(), length);
            }
        }
        self.lengths = Some(lengths);
        Ok(grown)
    }
}

/// Tables and databases are dropped at any time.
fn unless_gone<T>(found: io::Result<T>) -> io::Result<Option<T>> {
    match found {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        found => found.map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_files_grew_by_is_written_back_and_what_is_dropped_is_passed_over() {
        let data = std::env::temp_dir().join(format!("flowbot-test-{}", uuid::Uuid::new_v4().simple()));
        let file = |name: &str| data.join("base").join(name);
        let write = |name: &str, bytes: usize| fs::write(file(name), vec![0; bytes]).unwrap();
        fs::create_dir_all(file("1")).unwrap();
        fs::create_dir_all(file("2")).unwrap();
        let mut looks = WriteBack::default();
        write("1/there", 8_192);
        write("2/there", 8_192);
        assert_eq!(looks.grown(&data).unwrap(), [], "what was there is the server's");

        write("1/there", 16_384);
        write("1/new", 100);
        let mut grown = looks.grown(&data).unwrap();
        grown.sort_by_key(|(path, _)| path.clone());
        assert_eq!(grown, [(file("1/new"), 0..100), (file("1/there"), 8_192..16_384)]);
        assert_eq!(looks.grown(&data).unwrap(), []);

        write("1/there", 0); // truncated
        fs::remove_dir_all(file("2")).unwrap();
        assert_eq!(looks.grown(&data).unwrap(), []);
        write("1/there", 8_192);
        std::os::unix::fs::symlink(file("gone"), file("1/dangling")).unwrap();
        looks.begin(&data).unwrap();
        assert_eq!(looks.grown(&data).unwrap(), []);
        fs::remove_dir_all(data).unwrap();
    }
}
