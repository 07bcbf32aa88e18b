//! Where PostgreSQL's programs are on this machine, and which of them fit.

use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

/// The oldest PostgreSQL that has everything the store uses.
pub(super) const MAJOR_MIN: u32 = 15;

/// Folders whose children carry a version in their name, as packagers lay them out: parent, name before
/// the version, and the way from there to the programs.
const VERSIONED: &[(&str, &str, &str)] = &[
    ("/usr/lib/postgresql", "", "bin"),
    ("/usr", "pgsql-", "bin"),
    ("/usr/lib", "postgresql", "bin"),
    ("/usr/libexec", "postgresql", ""),
    ("/opt/homebrew/opt", "postgresql@", "bin"),
    ("/usr/local/opt", "postgresql@", "bin"),
    ("/home/linuxbrew/.linuxbrew/opt", "postgresql@", "bin"),
    ("/Applications/Postgres.app/Contents/Versions", "", "bin"),
];

/// Folders without a version in their name.
const FIXED: &[&str] = &["/usr/local/pgsql/bin", "/usr/local/bin", "/usr/bin"];

/// A folder with `postgres`, `initdb` and `pg_ctl` that the server's user can run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Binaries {
    pub dir: PathBuf,
    pub major: u32,
}

/// Why none of the candidates will do: each folder with its reason.
#[derive(Debug, Default)]
pub(super) struct NoneFits(Vec<(PathBuf, String)>);

impl fmt::Display for NoneFits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return write!(f, "no PostgreSQL was found on this machine");
        }
        let reasons: Vec<_> = self.0.iter().map(|(dir, why)| format!("{}: {why}", dir.display())).collect();
        f.write_str(&reasons.join("; "))
    }
}

/// Every folder that may hold the programs, best first: what PATH leads to (links followed, so that the
/// libraries beside them are found), then the newest of each packager's.
pub(super) fn candidates(path: Option<&OsStr>) -> Vec<PathBuf> {
    let on_path = path.into_iter().flat_map(std::env::split_paths).map(|dir| dir.join("pg_ctl"));
    let on_path = on_path.filter_map(|program| Some(program.canonicalize().ok()?.parent()?.to_owned()));
    let versioned = VERSIONED.iter().flat_map(|(parent, prefix, rest)| newest_first(Path::new(parent), prefix, rest));
    let mut found = Vec::new();
    for dir in on_path.chain(versioned).chain(FIXED.iter().map(PathBuf::from)) {
        if dir.join("pg_ctl").exists() && !found.contains(&dir) {
            found.push(dir);
        }
    }
    found
}

/// The children of `parent` named `prefix` and a number, highest first, each with `rest` behind it.
fn newest_first(parent: &Path, prefix: &str, rest: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(parent).into_iter().flatten().flatten();
    let mut versions: Vec<_> = entries
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let version = name.strip_prefix(prefix)?.trim_start_matches('-');
            Some((version.split('.').next()?.parse::<u32>().ok()?, entry.path().join(rest)))
        })
        .collect();
    versions.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
    versions.into_iter().map(|(_, dir)| dir).collect()
}

/// The first candidate that answers with a usable version: `wanted`, the major of the cluster that is
/// there already, or else any from [`MAJOR_MIN`] on. `probe` gives a folder's major, or why it has none.
pub(super) fn pick(
    candidates: &[PathBuf],
    wanted: Option<u32>,
    probe: impl Fn(&Path) -> Result<u32, String>,
) -> Result<Binaries, NoneFits> {
    let mut refused = NoneFits::default();
    for dir in candidates {
        let refusal = match probe(dir) {
            Ok(major) if wanted.map_or(major >= MAJOR_MIN, |it| it == major) => {
                return Ok(Binaries { dir: dir.clone(), major });
            }
            Ok(major) => format!("is PostgreSQL {major}"),
            Err(why) => why,
        };
        refused.0.push((dir.clone(), refusal));
    }
    Err(refused)
}

/// The major version in what `postgres --version` prints.
pub(super) fn parse_major(printed: &str) -> Option<u32> {
    let version = printed.split("(PostgreSQL)").nth(1)?.trim_start();
    let digits = version.split(|it: char| !it.is_ascii_digit()).next()?;
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn probe(dir: &Path) -> Result<u32, String> {
        match dir.to_str().unwrap() {
            "/old" => Ok(14),
            "/fifteen" => Ok(15),
            "/eighteen" => Ok(18),
            _ => Err("cannot be run by nobody".to_owned()),
        }
    }

    fn dirs(names: &[&str]) -> Vec<PathBuf> {
        names.iter().map(PathBuf::from).collect()
    }

    #[test]
    fn the_first_usable_candidate_wins() {
        let picked = pick(&dirs(&["/locked", "/old", "/fifteen", "/eighteen"]), None, probe).unwrap();
        assert_eq!((picked.dir, picked.major), (PathBuf::from("/fifteen"), 15));
    }

    #[test]
    fn an_existing_cluster_decides_the_major() {
        assert_eq!(pick(&dirs(&["/fifteen", "/eighteen"]), Some(18), probe).unwrap().major, 18);
        let refused = pick(&dirs(&["/fifteen", "/locked"]), Some(18), probe).unwrap_err().to_string();
        assert_eq!(refused, "/fifteen: is PostgreSQL 15; /locked: cannot be run by nobody");
    }

    #[test]
    fn nothing_found_says_so() {
        assert_eq!(pick(&[], None, probe).unwrap_err().to_string(), "no PostgreSQL was found on this machine");
    }

    #[test]
    fn versions_are_read_from_what_the_server_prints() {
        assert_eq!(parse_major("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n"), Some(15));
        assert_eq!(parse_major("postgres (PostgreSQL) 18beta1"), Some(18));
        assert_eq!(parse_major("bash 5"), None);
    }

    #[test]
    fn packagers_folders_are_listed_newest_first() {
        let parent = std::env::temp_dir().join(format!("flowbot-bin-{}", uuid::Uuid::new_v4()));
        for name in ["pgsql-9.6", "pgsql-15", "pgsql-18", "pgsql-latest", "other-20"] {
            fs::create_dir_all(parent.join(name)).unwrap();
        }
        let found = newest_first(&parent, "pgsql-", "bin");
        let expected: Vec<_> = ["pgsql-18/bin", "pgsql-15/bin", "pgsql-9.6/bin"].map(|it| parent.join(it)).into();
        assert_eq!(found, expected);
        fs::remove_dir_all(parent).unwrap();
    }
}
