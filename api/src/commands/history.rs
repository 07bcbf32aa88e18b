//! `flowbot history`: a stream's events, or its state at a point.

use std::sync::Arc;

use anyhow::{Context, bail};
use application::error::AppResult;
use application::history::at::At;
use application::history::{History, HistoryEntry, HistoryFilter, Scope};
use application::page::PageRequest;
use application::time_travel::Past;
use cqrs_es::Aggregate;
use domain::appointment::Appointment;
use domain::conversation::Conversation;
use domain::flow::Flow;
use domain::lead::Lead;
use domain::shared::ids::StreamId;
use domain::template::Template;
use domain::template_group::TemplateGroup;
use infrastructure::event_store::history::PgHistory;
use infrastructure::event_store::keys::KeyRing;
use infrastructure::event_store::past::PgPast;
use serde_json::Value;
use sqlx::PgPool;

use crate::config::HistoryArgs;

/// Prints the events of a stream, or with `at` the state they lead to by then.
///
/// # Errors
/// There is no such stream.
pub async fn run(pool: &PgPool, keys: &Arc<KeyRing>, asked: HistoryArgs) -> anyhow::Result<()> {
    let HistoryArgs { stream, at, types, actor, from, to, json } = asked;
    let stream: StreamId = stream.parse().context("a stream is written <tenant>/<id>, both UUIDs")?;
    let history = History { reader: Arc::new(PgHistory { pool: pool.clone(), keys: Arc::clone(keys) }) };
    let scope = find(&history, &stream).await?.with_context(|| format!("there is no stream {stream}"))?;
    if let Some(at) = at {
        let past = PgPast { pool: pool.clone(), keys: Arc::clone(keys) };
        let state = match &scope {
            Scope::Stream { aggregate: "conversation", .. } => state_at::<Conversation>(&past, &stream, &at).await?,
            Scope::Stream { aggregate: "flow", .. } => state_at::<Flow>(&past, &stream, &at).await?,
            Scope::Stream { aggregate: "lead", .. } => state_at::<Lead>(&past, &stream, &at).await?,
            Scope::Stream { aggregate: "template", .. } => state_at::<Template>(&past, &stream, &at).await?,
            Scope::Stream { aggregate: "template_group", .. } => state_at::<TemplateGroup>(&past, &stream, &at).await?,
            Scope::Stream { aggregate: "appointment", .. } => state_at::<Appointment>(&past, &stream, &at).await?,
            Scope::Stream { aggregate, .. } => bail!("{aggregate} streams have no state to show"),
            Scope::Log(_) => bail!("a log has no state to show"),
        };
        say!("{}", if json { state.to_string() } else { serde_json::to_string_pretty(&state)? });
        return Ok(());
    }
    let filter = HistoryFilter { types, actor, from, to, newest_first: false };
    let mut walk = history.walk(scope, filter, None).await?;
    while let Some(open) = walk.next().await? {
        for entry in open()? {
            print(&entry, json)?;
        }
    }
    Ok(())
}

/// The aggregate whose stream this is.
async fn find(history: &History, stream: &StreamId) -> AppResult<Option<Scope>> {
    for scope in Scope::all_of(stream) {
        let first = PageRequest { limit: 1, after: None };
        match history.page(&scope, &HistoryFilter::default(), &first).await {
            Ok(_) => return Ok(Some(scope)),
            Err(application::error::AppError::NotFound(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

fn print(entry: &HistoryEntry, json: bool) -> anyhow::Result<()> {
    if json {
        say!("{}", serde_json::to_string(entry)?);
        return Ok(());
    }
    let HistoryEntry { sequence, at, event_type, version, .. } = entry;
    let actor = entry.actor.as_deref().unwrap_or("-");
    let mark = match (entry.erased, entry.unreadable) {
        (true, _) => " (erased)".to_owned(),
        (false, Some(reason)) => format!(" ({reason})"),
        (false, None) => String::new(),
    };
    say!("{sequence:>6}  {at}  {:<36} {actor:<42} {}{mark}", format!("{event_type} v{version}"), entry.payload.get());
    Ok(())
}

async fn state_at<A: Aggregate>(past: &impl Past<A>, stream: &StreamId, at: &At) -> anyhow::Result<Value>
where
    A::Event: Clone,
{
    let mut aggregate = A::default();
    past.replay(stream, at, &mut |recorded| aggregate.apply(recorded.event.clone())).await?;
    Ok(serde_json::to_value(&aggregate)?)
}
