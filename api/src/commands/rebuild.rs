//! `flowbot rebuild`: asks for it, and helps with it. Works beside servers and without one.

use std::io::IsTerminal;
use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use application::error::AppError;
use application::projections::{ProjectionView, Projections};
use indicatif::{ProgressBar, ProgressStyle};
use infrastructure::event_store::keys::KeyRing;
use infrastructure::event_store::rebuild::Rebuilder;
use infrastructure::event_store::rebuild::admin::PgProjections;
use infrastructure::event_store::waiter;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use crate::commands::projections::line;
use crate::compose::workers;

/// How often progress is looked at: a look costs the database about as much as a piece of the rebuild.
const EVERY: Duration = Duration::from_millis(250);
/// Looks between two lines, where there is no terminal.
const LOOKS_A_LINE: u32 = 8;

/// Rebuilds one projection, or all. One that is being rebuilt is helped with; one that stopped is begun anew.
///
/// # Errors
/// There is no such projection, or its rebuild halted or was paused.
pub async fn run(pool: &PgPool, keys: &Arc<KeyRing>, name: &str) -> anyhow::Result<()> {
    let projections = workers::projections(keys);
    let all: Vec<&str> = projections.iter().map(|projection| projection.name()).collect();
    let names: Vec<&str> = all.iter().copied().filter(|it| name == "all" || *it == name).collect();
    if names.is_empty() {
        bail!("there is no projection `{name}`: {}, or all", all.join(", "));
    }
    waiter::register(pool, &all).await?;
    let admin = PgProjections::new(pool.clone(), projections.clone());
    let stop = CancellationToken::new();
    let helper = tokio::spawn(Rebuilder::new(pool.clone(), projections).run(stop.clone()));
    let mut ended = Ok(());
    for name in names {
        ended = rebuild(&admin, name).await;
        if ended.is_err() {
            break;
        }
    }
    stop.cancel();
    helper.await?;
    ended
}

async fn rebuild(admin: &PgProjections, name: &str) -> anyhow::Result<()> {
    let before = admin.one(name).await?;
    let asked = match before.status.as_str() {
        "rebuilding" => Ok(before),
        _ => admin.rebuild(name, false).await,
    };
    let mut row = match asked {
        Ok(row) => row,
        // Somebody asked at the same time.
        Err(AppError::Conflict { .. }) => admin.one(name).await?,
        Err(error) => return Err(error.into()),
    };
    let bar = bar(name);
    let mut looks = 0;
    while row.status == "rebuilding" {
        show(&row, bar.as_ref(), looks);
        looks += 1;
        tokio::time::sleep(EVERY).await;
        row = admin.one(name).await?;
    }
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
    conclude(&row)
}

/// None where nobody watches.
fn bar(name: &str) -> Option<ProgressBar> {
    if !std::io::stderr().is_terminal() {
        return None;
    }
    let style = ProgressStyle::with_template("{prefix} [{bar:40}] {percent}% {msg}");
    let bar = ProgressBar::new(1).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.set_prefix(name.to_owned());
    Some(bar)
}

fn show(row: &ProjectionView, bar: Option<&ProgressBar>, looks: u32) {
    let Some(progress) = &row.progress else { return };
    match bar {
        Some(bar) => {
            bar.set_length(progress.events_total.max(1).unsigned_abs());
            bar.set_position(progress.events_done.unsigned_abs());
            bar.set_message(line(progress));
        }
        None if looks.is_multiple_of(LOOKS_A_LINE) => say!("{}: {}", row.name, line(progress)),
        None => {}
    }
}

fn conclude(row: &ProjectionView) -> anyhow::Result<()> {
    if let Some(progress) = &row.progress {
        bail!("the rebuild of {} is paused: {}", row.name, line(progress));
    }
    let found = row.differences.clone().unwrap_or_default();
    let compared = match found.skipped {
        Some(why) => format!("not compared: {why}"),
        None if found.missing + found.extra + found.changed == 0 => "the same as the one before".to_owned(),
        None => format!("{} missing, {} extra, {} changed", found.missing, found.extra, found.changed),
    };
    say!("{}: generation {} is live; {compared}", row.name, row.generation);
    for difference in &found.sample {
        say!("  {} {} of account {}", difference.kind, difference.key, difference.account_id);
    }
    Ok(())
}
