//! The write-ahead log of a new cluster, made before it is needed. A server makes a segment when it gets there, 16 MB of
//! zeros that have to reach the disk, and whoever commits waits for that: some 40 ms each time. Later it reuses segments
//! instead, as many as `min_wal_size` says, but only those that it has.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::server_user::ServerUser;

/// Segments of a new cluster.
pub(super) const SEGMENTS: u8 = 32;
/// What initdb makes them of, in megabytes.
pub(super) const SEGMENT_MB: usize = 16;

/// Makes the segments of a cluster that no server has run on yet, or none of them; initdb made the first. A server takes
/// a segment that is there, as it takes those that a checkpoint makes ahead of it.
///
/// # Errors
/// The disk is full, say.
pub(super) fn fill(data: &Path, user: &ServerUser) -> anyhow::Result<()> {
    let folder = data.join("pg_wal");
    let mut made = Vec::new();
    let filled = make(&folder, user, &mut made);
    if filled.is_err() {
        for path in &made {
            fs::remove_file(path).with_context(|| format!("cannot remove {}", path.display()))?;
        }
    }
    filled
}

fn make(folder: &Path, user: &ServerUser, made: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    let zeros = vec![0; SEGMENT_MB * 1024 * 1024];
    for number in 2..=SEGMENTS {
        // The first timeline, the first 4 GB, the segment.
        let path = folder.join(format!("{:08X}{:08X}{number:08X}", 1, 0));
        let mut file = match File::create_new(&path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => continue,
            created => created?,
        };
        made.push(path.clone());
        file.write_all(&zeros)?;
        file.sync_all()?;
        user.own(&path, 0o600)?;
    }
    Ok(File::open(folder)?.sync_all()?)
}
