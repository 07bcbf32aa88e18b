//! The newest signed head beside the database, in `audit-head.json` of the data directory: by it a log is found out
//! that was cut together with its seals. It is only ever moved along the chain it is on.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use application::audit::Head;
use serde::Deserialize;
use sqlx::PgPool;

use super::seals;

/// Its name.
pub const FILE_NAME: &str = "audit-head.json";
/// How long it may be behind: a file that is written for good holds up the disk.
const EVERY: Duration = Duration::from_secs(10);

/// The head kept in a file: `audit-head.json`, or an export, whose manifest names one.
///
/// # Errors
/// The file cannot be read, or holds no head.
pub fn read(path: &Path) -> anyhow::Result<Head> {
    #[derive(Deserialize)]
    struct Manifest {
        head: Option<Head>,
    }
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    if let Ok(head) = serde_json::from_str(&text) {
        return Ok(head);
    }
    let manifest = text.lines().next_back().and_then(|line| serde_json::from_str::<Manifest>(line).ok());
    let head = manifest.and_then(|manifest| manifest.head);
    head.with_context(|| format!("{} holds no head of a sealed log", path.display()))
}

/// The head in the data directory; none when there is no such file.
///
/// # Errors
/// The file cannot be read, or holds no head.
pub fn read_in(data_dir: &Path) -> anyhow::Result<Option<Head>> {
    let path = data_dir.join(FILE_NAME);
    if path.try_exists().unwrap_or(false) { read(&path).map(Some) } else { Ok(None) }
}

/// Keeps the file at the head of the log.
pub struct HeadFile {
    path: PathBuf,
    known: Option<Head>,
    /// More was sealed since it was brought up to date; what another node sealed is not counted.
    behind: bool,
    /// When that was tried last; `None` when nothing was sealed then, so that the next seal is kept at once.
    tried: Option<Instant>,
    /// That it failed has been said.
    complained: bool,
}

impl HeadFile {
    /// The one in a data directory.
    pub fn new(data_dir: &Path) -> Self {
        let path = data_dir.join(FILE_NAME);
        Self { path, known: None, behind: true, tried: None, complained: false }
    }

    /// As [`HeadFile::follow`], but seldom while more and more is `sealed`. A failure is logged, once until it works again.
    pub async fn follow_now_and_then(&mut self, pool: &PgPool, sealed: bool) {
        self.behind |= sealed;
        if !self.behind || self.tried.is_some_and(|tried| tried.elapsed() < EVERY) {
            return;
        }
        self.tried = sealed.then(Instant::now);
        match self.follow(pool).await {
            Ok(()) => (self.complained, self.behind) = (false, false),
            Err(_) if self.complained => {}
            Err(error) => {
                self.complained = true;
                tracing::error!("The head of the sealed log was not kept: {error:#}");
            }
        }
    }

    /// Moves the file to the newest seal, if the log still has the head that is in it.
    ///
    /// # Errors
    /// The log does not have it any more, or the file cannot be written.
    pub async fn follow(&mut self, pool: &PgPool) -> anyhow::Result<()> {
        let Some(newest) = seals::newest(pool).await? else {
            ensure!(!self.path.try_exists()?, "{} names seals the database does not have", self.path.display());
            return Ok(());
        };
        let newest = newest.head();
        if self.known.as_ref() == Some(&newest) {
            return Ok(());
        }
        let kept = if self.path.try_exists()? { Some(read(&self.path)?) } else { None };
        if let Some(kept) = kept {
            let there = seals::of_batch(pool, kept.batch).await?.map(|seal| seal.head());
            if there.as_ref() != Some(&kept) {
                let path = self.path.display();
                bail!(
                    "the log does not have the head in {path} (batch {}) any more; the file stays as it is",
                    kept.batch
                );
            }
        }
        self.write(&newest)?;
        self.known = Some(newest);
        Ok(())
    }

    /// Replaces the file, whole.
    fn write(&self, head: &Head) -> anyhow::Result<()> {
        let draft = self.path.with_extension(format!("{}.draft", std::process::id()));
        let folder = self.path.parent().unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder)?;
        std::fs::write(&draft, format!("{}\n", serde_json::to_string(head)?))?;
        Ok(std::fs::rename(draft, &self.path)?)
    }
}
