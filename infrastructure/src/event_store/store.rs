//! The same log as a `cqrs_es::EventStore`, for everything that speaks cqrs-es.
//!
//! It differs from postgres-es's store where that one is wrong: events are never applied twice, a snapshot is
//! what the events up to its sequence give, and a snapshot can neither undo nor fail a commit.

use std::collections::HashMap;
use std::marker::PhantomData;
use std::sync::Arc;

use cqrs_es::{Aggregate, AggregateContext, AggregateError, EventEnvelope, EventStore};
use domain::personal::Personal;
use domain::shared::ids::StreamId;
use sqlx::PgPool;

use crate::event_store::append::{Append, AppendError, Appender};
use crate::event_store::keys::{KeyError, KeyRing};
use crate::event_store::load::{self, LoadError, Loaded};
use crate::event_store::log_reader::{RawEvent, read_stream};
use crate::event_store::sealed::stored;

/// An event store over the log.
pub struct PgEventStore<A> {
    pool: PgPool,
    keys: Arc<KeyRing>,
    appender: Appender,
    snapshot_every: i64,
    aggregate: PhantomData<fn() -> A>,
}

impl<A: Aggregate> PgEventStore<A> {
    /// A store that keeps a snapshot every `snapshot_every` events; 0 for none.
    pub fn new(pool: PgPool, keys: Arc<KeyRing>, appender: Appender, snapshot_every: i64) -> Self {
        Self { pool, keys, appender, snapshot_every, aggregate: PhantomData }
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

impl<A: Personal> EventStore<A> for PgEventStore<A>
where
    A::Error: Send,
{
    type AC = PgContext<A>;

    async fn load_events(&self, id: &str) -> Result<Vec<EventEnvelope<A>>, AggregateError<A::Error>> {
        let mut reader = self.pool.acquire().await.map_err(connection)?;
        let mut events = read_stream(&mut reader, A::TYPE, id, 0, i64::MAX).await.map_err(connection)?;
        self.keys.open(&mut reader, &mut events).await.map_err(unexpected)?;
        let envelope = |event: &RawEvent| {
            let recorded = event.decode().map_err(|reason| AggregateError::DeserializationError(reason.into()))?;
            Ok(EventEnvelope {
                aggregate_id: id.to_owned(),
                sequence: usize::try_from(recorded.sequence).unwrap_or_default(),
                payload: recorded.event,
                metadata: recorded.metadata,
            })
        };
        events.iter().map(envelope).collect()
    }

    async fn load_aggregate(&self, id: &str) -> Result<PgContext<A>, AggregateError<A::Error>> {
        let stream: StreamId =
            id.parse().map_err(|error: uuid::Error| AggregateError::UnexpectedError(error.into()))?;
        let loaded = load::load(&self.pool, &self.keys, &stream).await.map_err(|error| match error {
            LoadError::Database(error) => connection(error),
            error @ LoadError::Key(_) => AggregateError::UnexpectedError(error.into()),
            error @ LoadError::Undecodable { .. } => AggregateError::DeserializationError(error.into()),
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
        let known = context.loaded.aggregate.contact();
        let mut after = context.loaded.aggregate;
        for event in &events {
            after.apply(event.clone());
        }
        let contact = after.contact();
        let key = match contact {
            Some(contact) => Some(self.keys.fresh(stream.tenant, contact).await.map_err(unexpected)?),
            None => None,
        };
        let new = (before + 1..).zip(&events);
        let new = new.map(|(sequence, event)| stored::<A>(event, key.as_ref(), &stream, sequence));
        let append = Append {
            aggregate_type: A::TYPE,
            stream: stream.clone(),
            meets: contact.filter(|_| known != contact),
            expected: before,
            events: new.collect::<Result<_, _>>()?,
            metadata: serde_json::to_value(&metadata)?,
            once: Vec::new(),
            mark: Vec::new(),
            conclude: None,
            effects: Vec::new(),
        };
        self.appender.append(append).await.map_err(|error| match error {
            AppendError::Conflict => AggregateError::AggregateConflict,
            AppendError::Unavailable(source) => AggregateError::DatabaseConnectionError(source.into()),
            other @ (AppendError::KeyTaken
            | AppendError::Occupied
            | AppendError::LeaseLost
            | AppendError::Failed(_)) => AggregateError::UnexpectedError(other.into()),
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

impl<A: Personal> PgEventStore<A> {
    /// What the events give, not what the caller's context holds; a failure leaves the commit as it is.
    async fn snapshot(&self, stream: &StreamId) {
        let kept = match load::load::<A>(&self.pool, &self.keys, stream).await {
            Ok(loaded) => load::save_snapshot(&self.pool, &self.keys, stream, &loaded).await,
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

fn unexpected<E: std::error::Error>(error: KeyError) -> AggregateError<E> {
    AggregateError::UnexpectedError(error.into())
}
