//! `flowbot history`: a stream's events, or its state at a point.

use anyhow::{Context, bail};
use cqrs_es::Aggregate;
use domain::conversation::Conversation;
use domain::flow::Flow;
use domain::lead::Lead;
use infrastructure::event_store::keys::KeyRing;
use infrastructure::event_store::log_reader::{RawEvent, read_stream};
use serde_json::{Value, json};
use sqlx::{PgConnection, PgPool};

use crate::config::At;

/// Events read at a time: the memory of a history of any length.
const PAGE: i64 = 500;

/// Prints the events of a stream, or with `at` the state they lead to by then.
///
/// # Errors
/// There is no such stream.
pub async fn run(pool: &PgPool, keys: &KeyRing, stream: &str, at: Option<&At>, json: bool) -> anyhow::Result<()> {
    let mut connection = pool.acquire().await?;
    let kind: Option<String> = sqlx::query_scalar(
        "select aggregate_type from events where aggregate_id = $1 and aggregate_type = any($2) limit 1",
    )
    .bind(stream)
    .bind(["conversation", "flow", "lead"].map(str::to_owned).as_slice())
    .fetch_optional(&mut *connection)
    .await?;
    let kind = kind.with_context(|| format!("there is no stream {stream}"))?;
    match at {
        None => print_events(&mut connection, keys, &kind, stream, json).await,
        Some(at) => {
            let state = match kind.as_str() {
                "conversation" => state_at::<Conversation>(&mut connection, keys, stream, at).await?,
                "flow" => state_at::<Flow>(&mut connection, keys, stream, at).await?,
                "lead" => state_at::<Lead>(&mut connection, keys, stream, at).await?,
                other => bail!("{other} streams have no state to show"),
            };
            say!("{}", if json { state.to_string() } else { serde_json::to_string_pretty(&state)? });
            Ok(())
        }
    }
}

async fn print_events(
    connection: &mut PgConnection,
    keys: &KeyRing,
    kind: &str,
    stream: &str,
    json: bool,
) -> anyhow::Result<()> {
    let mut after = 0;
    loop {
        let mut events = read_stream(connection, kind, stream, after, PAGE).await?;
        keys.open(connection, &mut events).await?;
        let Some(last) = events.last() else { return Ok(()) };
        after = last.sequence;
        for event in &events {
            print_event(event, json);
        }
    }
}

fn print_event(event: &RawEvent, json: bool) {
    let at = event.recorded_at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
    if json {
        let metadata: Value = serde_json::from_str(event.metadata.get()).unwrap_or_default();
        let payload: Value = serde_json::from_str(event.payload.get()).unwrap_or_default();
        say!(
            "{}",
            json!({ "sequence": event.sequence, "position": event.position.to_string(), "type": event.event_type, "at": at,
                    "actor": metadata["actor"], "correlationId": metadata["correlationId"], "causationId": metadata["causationId"],
                    "payload": payload })
        );
    } else {
        say!("{:>6}  {at}  {:<36} {}", event.sequence, event.event_type, event.payload.get());
    }
}

async fn state_at<A: Aggregate>(
    connection: &mut PgConnection,
    keys: &KeyRing,
    stream: &str,
    at: &At,
) -> anyhow::Result<Value> {
    let (mut aggregate, mut after) = (A::default(), 0);
    loop {
        let mut events = read_stream(connection, A::TYPE, stream, after, PAGE).await?;
        keys.open(connection, &mut events).await?;
        let Some(last) = events.last() else { break };
        after = last.sequence;
        for event in &events {
            let reached = match at {
                At::Time(time) => event.recorded_at <= *time,
                At::Position(position) => event.position.number <= *position,
            };
            if !reached {
                return Ok(serde_json::to_value(&aggregate)?);
            }
            let event = event.decode::<A::Event>().map_err(anyhow::Error::msg)?;
            aggregate.apply(event.event);
        }
    }
    Ok(serde_json::to_value(&aggregate)?)
}
