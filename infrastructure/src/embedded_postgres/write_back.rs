//! What tables grow by goes to the disk soon. A server makes new pages as zeros and leaves them to the system, whatever
//! `backend_flush_after` says; Linux lets them lie for half a minute and then writes all of them, and whoever commits
//! meanwhile waits 40 to 600 ms.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::num::NonZeroU64;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{Advice, fadvise};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep, sleep_until};

/// How often it is looked at what they grew by; for so long, too, writing it is spread.
const PAUSE: Duration = Duration::from_secs(1);
/// What is begun at once, at least, in bytes: less would cost more than it spares.
const PIECE_MIN: u64 = 64 * 1024;
/// Pieces of a pause, and at most one more for each file.
const PIECES: u64 = 50;

/// Part of a file, in bytes of it.
type Part = (PathBuf, Range<u64>);

/// Writes back what the cluster in `data` grows by, within two seconds or so and little by little: whoever commits waits behind
/// all that was begun at once. What cannot be is left to the system. Never ends.
pub(super) async fn little_by_little(data: &Path) {
    let (mut tables, mut complained) = (Tables::default(), false);
    loop {
        let (mut looked_at, data) = (std::mem::take(&mut tables), data.to_owned());
        let looked = spawn_blocking(move || {
            let grown = looked_at.grown(&data);
            (looked_at, grown)
        });
        let grown;
        (tables, grown) = looked.await.unwrap_or_else(|error| (Tables::default(), Err(io::Error::other(error))));
        let begun = match grown {
            Ok(grown) => begin(pieces(grown)).await,
            Err(error) => {
                sleep(PAUSE).await;
                Err(error)
            }
        };
        if let Err(error) = &begun
            && !complained
        {
            tracing::warn!(%error, "Some of what tables grow by is left to the system to write");
        }
        complained = begun.is_err();
    }
}

/// Begins to write these, spread over a [`PAUSE`]. Whether the writing succeeds is for the server's own fsync to see: an
/// fsync from here would be told instead of it.
///
/// # Errors
/// The first that cannot be begun; the others are. What is gone is no error.
async fn begin(pieces: Vec<Part>) -> io::Result<()> {
    let (from, mut begun) = (Instant::now(), Ok(()));
    let all: u64 = pieces.iter().map(|(_, part)| part.end - part.start).sum();
    let mut before = 0;
    for (path, part) in pieces {
        sleep_until(from + PAUSE.mul_f64(before as f64 / all as f64)).await;
        before += part.end - part.start;
        let handed_over = spawn_blocking(move || hand_over(&path, &part)).await;
        begun = begun.and(handed_over.unwrap_or_else(|error| Err(io::Error::other(error))));
    }
    sleep_until(from + PAUSE).await;
    begun
}

/// Cuts what is long: about [`PIECES`] of them, and none of less than [`PIECE_MIN`] but what a file ends with.
fn pieces(grown: Vec<Part>) -> Vec<Part> {
    let all: u64 = grown.iter().map(|(_, part)| part.end - part.start).sum();
    let most = PIECE_MIN.max(all / PIECES);
    let cut = |(path, part): Part| {
        let end = part.end;
        part.step_by(most as usize).map(move |start| (path.clone(), start..end.min(start + most)))
    };
    grown.into_iter().flat_map(cut).collect()
}

/// The files of a cluster's tables and indexes and how long they were when they were looked at last, in bytes; `None`
/// before the first look.
#[derive(Debug, Default)]
struct Tables {
    lengths: Option<HashMap<PathBuf, u64>>,
}

impl Tables {
    /// What each grew by since the last call; nothing the first time.
    ///
    /// # Errors
    /// A folder that cannot be read.
    fn grown(&mut self, data: &Path) -> io::Result<Vec<Part>> {
        let (mut lengths, mut grown) = (HashMap::new(), Vec::new());
        for database in fs::read_dir(data.join("base"))? {
            let database = database?.path();
            if !starts_with_digit(&database) {
                continue; // What sorts spill need never reach the disk.
            }
            let Some(files) = unless_gone(fs::read_dir(database))? else { continue };
            for file in files {
                let file = file?;
                let path = file.path();
                if !starts_with_digit(&path) {
                    continue; // Temporary tables, as little.
                }
                let Some(length) = unless_gone(file.metadata())?.map(|it| it.len()) else { continue };
                let before = self.lengths.as_ref().map_or(length, |all| all.get(&path).copied().unwrap_or(0));
                if length > before {
                    grown.push((path.clone(), before..length));
                }
                lengths.insert(path, length);
            }
        }
        self.lengths = Some(lengths);
        Ok(grown)
    }
}

/// Linux hands what is dirty there to the disk and keeps it in memory; what is clean already it forgets. `sync_file_range`
/// would forget nothing, but there is no safe door to it.
fn hand_over(path: &Path, part: &Range<u64>) -> io::Result<()> {
    let Some(file) = unless_gone(File::open(path))? else { return Ok(()) };
    Ok(fadvise(file, part.start, NonZeroU64::new(part.end - part.start), Advice::DontNeed)?)
}

/// Databases and what is kept in them have numbers for names.
fn starts_with_digit(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().first().is_some_and(u8::is_ascii_digit))
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
    fn what_is_long_is_cut_into_about_as_many_pieces_whatever_it_is() {
        let of = |lengths: &[u64]| lengths.iter().map(|&length| (PathBuf::from("1"), 8_192..8_192 + length)).collect();
        assert_eq!(pieces(of(&[])), []);
        let short = pieces(of(&[8_192, 2 * PIECE_MIN + 1]));
        let lengths: Vec<u64> = short.iter().map(|(_, part)| part.end - part.start).collect();
        assert_eq!(lengths, [8_192, PIECE_MIN, PIECE_MIN, 1]);
        assert_eq!(
            short[1..].iter().map(|(_, part)| part.start - 8_192).collect::<Vec<_>>(),
            [0, PIECE_MIN, 2 * PIECE_MIN]
        );
        let long = pieces(of(&[1 << 30, 1 << 20]));
        assert!((PIECES..PIECES + 3).contains(&(long.len() as u64)), "{}", long.len());
    }

    #[tokio::test]
    async fn only_what_tables_grew_by_is_written_back_and_what_is_dropped_is_passed_over() {
        let data = std::env::temp_dir().join(format!("flowbot-test-{}", uuid::Uuid::new_v4().simple()));
        let file = |name: &str| data.join("base").join(name);
        let write = |name: &str, bytes: usize| fs::write(file(name), vec![0; bytes]).unwrap();
        for folder in ["1", "2", "pgsql_tmp"] {
            fs::create_dir_all(file(folder)).unwrap();
        }
        let mut tables = Tables::default();
        write("1/16384", 8_192);
        write("2/16384", 8_192);
        assert_eq!(tables.grown(&data).unwrap(), [], "what was there is the server's");

        write("1/16384", 16_384);
        write("1/16385_fsm", 100);
        write("1/t3_16386", 100);
        write("pgsql_tmp/1", 100);
        let mut grown = tables.grown(&data).unwrap();
        grown.sort_by_key(|(path, _)| path.clone());
        assert_eq!(grown, [(file("1/16384"), 8_192..16_384), (file("1/16385_fsm"), 0..100)]);
        assert_eq!(tables.grown(&data).unwrap(), []);

        write("1/16384", 0); // truncated
        fs::remove_dir_all(file("2")).unwrap();
        assert_eq!(tables.grown(&data).unwrap(), []);

        // Gone between the look and the opening; the other one is begun all the same.
        std::os::unix::fs::symlink(file("gone"), file("1/16387")).unwrap();
        write("1/16384", 8_192);
        begin(pieces(tables.grown(&data).unwrap())).await.unwrap();
        assert_eq!(tables.grown(&data).unwrap(), []);
        fs::remove_dir_all(data).unwrap();
    }
}
