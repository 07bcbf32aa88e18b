//! The same log as a `cqrs_es::EventStore`, for everything that speaks cqrs-es.
//!
//! It differs from postgres-es's store where that one is wrong: events are never applied twice, a snapshot is
//! what the events up to its sequence give, and a snapshot can neither undo nor fail a commit.

use std::collections::HashMap;
use std::marker::PhantomData;

use cqrs_es::{Aggregate, AggregateContext, AggregateError, DomainEvent, EventEnvelope, EventStore};
use domain::shared::ids::StreamId;
use serde_json::Value;
use sqlx::{PgPool, Row};

use crate::event_store::append::{Append, AppendError, Appender, NewEvent};
use crate::event_store::load::{self, LoadError, Loaded};

/// An event store over the log.
pub struct PgEventStore<A> {
    pool: PgPool,
    appender: Appender,
    snapshot_every: i64,
    aggregate: PhantomData<fn() -> A>,
}

impl<A: Aggregate> PgEventStore<A> {
    /// A store that keeps a snapshot every `snapshot_every` events; 0 for none.
    pub fn new(pool: PgPool, appender: Appender, snapshot_every: i64) -> Self {
        Self { pool, appender, snapshot_every, aggregate: PhantomData }
    }
}

/// A loaded aggregate, and where its stream stood.
pub struct PgContext<A> {
    stream: StreamId,
    loaded: Loaded<A>,
}

impl<A: Aggregate> AggregateContext<A> for PgContext<A> {
    fn aggregate(&mut self) -> &mut A {
        &mut self.loaded.aggregate
    }
}

impl<A: Aggregate> EventStore<A> for PgEventStore<A>
where
    A::Error: Send,
{
    type AC = PgContext<A>;

    async fn load_events(&self, id: &str) -> Result<Vec<EventEnvelope<A>>, AggregateError<A::Error>> {
        let rows = sqlx::query(
            "select sequence, payload, metadata from events
              where aggregate_type = $1 and aggregate_id = $2 order by sequence",
        )
        .bind(A::TYPE)
        .bind(id)
        .fetch_all(&self.pool)
        .await
        .map_err(connection)?;
        rows.iter()
            .map(|row| {
                let sequence: i64 = row.try_get("sequence").map_err(connection)?;
                let (payload, metadata): (Value, Value) =
                    (row.try_get("payload").map_err(connection)?, row.try_get("metadata").map_err(connection)?);
                Ok(EventEnvelope {
                    aggregate_id: id.to_owned(),
                    sequence: usize::try_from(sequence).unwrap_or_default(),
                    payload: serde_json::from_value(payload)?,
                    metadata: serde_json::from_value(metadata)?,
                })
            })
            .collect()
    }

    async fn load_aggregate(&self, id: &str) -> Result<PgContext<A>, AggregateError<A::Error>> {
        let stream: StreamId =
            id.parse().map_err(|error: uuid::Error| AggregateError::UnexpectedError(error.into()))?;
        let loaded = load::load(&self.pool, &stream).await.map_err(|error| match error {
            LoadError::Database(error) => connection(error),
            LoadError::Undecodable { source, .. } => AggregateError::DeserializationError(source.into()),
        })?;
        Ok(PgContext { stream, loaded })
    }

    async fn commit(
        &self,
        events: Vec<A::Event>,
        context: PgContext<A>,
        metadata: HashMap<String, String>,
    ) -> Result<Vec<EventEnvelope<A>>, AggregateError<A::Error>> {
        if events.is_empty() {
            return Ok(Vec::new());
        }
        let (stream, before) = (context.stream, context.loaded.sequence);
        let new = |event: &A::Event| -> Result<NewEvent, serde_json::Error> {
            Ok(NewEvent {
                event_type: event.event_type(),
                event_version: event.event_version(),
                payload: serde_json::to_value(event)?,
            })
        };
        let append = Append {
            aggregate_type: A::TYPE,
            stream: stream.clone(),
            expected: before,
            events: events.iter().map(new).collect::<Result<_, _>>()?,
            metadata: serde_json::to_value(&metadata)?,
            once: Vec::new(),
            mark: Vec::new(),
            conclude: None,
            effects: Vec::new(),
        };
        self.appender.append(append).await.map_err(|error| match error {
            AppendError::Conflict => AggregateError::AggregateConflict,
            AppendError::Unavailable(source) => AggregateError::DatabaseConnectionError(source.into()),
            other @ (AppendError::KeyTaken | AppendError::LeaseLost | AppendError::Failed(_)) => {
                AggregateError::UnexpectedError(other.into())
            }
        })?;
        let after = before + i64::try_from(events.len()).unwrap_or_default();
        if self.snapshot_every > 0 && after / self.snapshot_every > before / self.snapshot_every {
            self.snapshot(&stream).await;
        }
        let envelope = |(sequence, payload): (i64, A::Event)| EventEnvelope {
            aggregate_id: stream.to_string(),
            sequence: usize::try_from(sequence).unwrap_or_default(),
            payload,
            metadata: metadata.clone(),
        };
        Ok((before + 1..).zip(events).map(envelope).collect())
    }
}

impl<A: Aggregate> PgEventStore<A> {
    /// What the events give, not what the caller's context holds; a failure leaves the commit as it is.
    async fn snapshot(&self, stream: &StreamId) {
        let kept = match load::load::<A>(&self.pool, stream).await {
            Ok(loaded) => load::save_snapshot(&self.pool, stream, &loaded).await.map_err(LoadError::from),
            Err(error) => Err(error),
        };
        if let Err(error) = kept {
            tracing::warn!(%stream, %error, "No snapshot was kept");
        }
    }
}

fn connection<E: std::error::Error>(error: sqlx::Error) -> AggregateError<E> {
    AggregateError::DatabaseConnectionError(Box::new(error))
}
