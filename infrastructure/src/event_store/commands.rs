//! Running commands: decide on the state in memory, append, keep what went in. The primary key of the log says
//! whether the memory was right; when it was not, the stream is read on and decided again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex as SyncMutex};

use application::actor::Cause;
use application::commands::{Along, CommandError, Commands, Once, Reached};
use application::effects::{Effect, Reacts};
use async_trait::async_trait;
use cqrs_es::Aggregate;
use domain::shared::ids::StreamId;
use futures::FutureExt;
use rand::Rng;
use serde_json::json;
use sqlx::PgPool;
use tokio::sync::{Mutex, Notify, watch};

use crate::event_store::append::{Append, AppendError, Appender, is_unavailable};
use crate::event_store::keys::{KeyError, KeyRing};
use crate::event_store::load::{self, LoadError, Loaded, SNAPSHOT_EVERY};
use crate::event_store::sealed::stored;
use crate::together::Together;

/// Times a command is decided before it gives up on a stream others keep changing.
const ATTEMPTS_MAX: u32 = 5;
/// Streams loaded together at most.
const LOADED_MAX: usize = 64;
/// Aggregates kept in memory, of one type.
const HOT_MAX: usize = 20_000;

type Slot<A> = Arc<Mutex<Option<Loaded<A>>>>;

/// What appends wake beside the outbox: projections, the jobs.
#[derive(Debug, Default)]
pub struct Pokes {
    /// The log grew.
    pub log: watch::Sender<()>,
    /// There is work for later.
    pub jobs: Notify,
}

/// Commands against one kind of aggregate in Postgres.
pub struct PgCommands<A> {
    pool: PgPool,
    keys: Arc<KeyRing>,
    appender: Appender,
    loads: Together<StreamId, Result<Loaded<A>, LoadError>>,
    pokes: Arc<Pokes>,
    hot: SyncMutex<HashMap<StreamId, Slot<A>>>,
}

impl<A: Reacts + Clone + 'static> PgCommands<A>
where
    A::Command: Clone + Send + Sync,
{
    /// Commands that append through `appender`.
    pub fn new(pool: PgPool, keys: Arc<KeyRing>, appender: Appender, pokes: Arc<Pokes>) -> Self {
        let with = Arc::clone(&keys);
        let loads = Together::start(pool.clone(), LOADED_MAX, move |connection, streams: Vec<StreamId>| {
            let keys = Arc::clone(&with);
            async move { load::load_many(connection, &keys, &streams).await.map_err(LoadError::into_database) }.boxed()
        });
        Self { pool, keys, appender, loads, pokes, hot: SyncMutex::new(HashMap::new()) }
    }

    /// The stream's place in memory. Work on one stream queues here instead of colliding at the log.
    fn slot(&self, stream: &StreamId) -> Slot<A> {
        let mut hot = self.hot.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if hot.len() >= HOT_MAX && !hot.contains_key(stream) {
            // Whatever nobody works on may go; it costs a load to get it back.
            let mut drop_one = false;
            hot.retain(|_, slot| {
                drop_one = !drop_one;
                !drop_one || Arc::strong_count(slot) > 1
            });
        }
        Arc::clone(hot.entry(stream.clone()).or_default())
    }

    async fn loaded(&self, stream: &StreamId) -> Result<Loaded<A>, CommandError<A::Error>> {
        let loaded = self.loads.ask(stream.clone()).await.map_err(LoadError::Database);
        loaded.and_then(|loaded| loaded).map_err(load_error)
    }

    /// Decides. The log checks events against what they were decided on; a refusal, or nothing to do, it cannot
    /// check, so neither may rest on what was remembered.
    async fn decide(
        &self,
        stream: &StreamId,
        command: &A::Command,
        loaded: &mut Loaded<A>,
        remembered: bool,
    ) -> Result<Decided<A>, LoadError> {
        let decided = loaded.aggregate.decide(command.clone());
        if !remembered || decided.as_ref().is_ok_and(|events| !events.is_empty()) {
            return Ok(decided);
        }
        let before = loaded.sequence;
        load::catch_up(&self.pool, &self.keys, stream, loaded).await?;
        Ok(if loaded.sequence == before { decided } else { loaded.aggregate.decide(command.clone()) })
    }

    async fn append(
        &self,
        stream: &StreamId,
        cause: &Cause,
        events: Vec<A::Event>,
        along: &Along,
        loaded: &mut Loaded<A>,
    ) -> Result<Told<A>, Attempt<A::Error>> {
        let nothing_else = along.once.is_empty() && along.mark.is_empty() && along.conclude.is_none();
        if events.is_empty() && nothing_else {
            return Ok((Reached { position: None, sequence: loaded.sequence }, events));
        }
        let mut after = loaded.aggregate.clone();
        for event in &events {
            after.apply(event.clone());
        }
        let effects: Vec<_> = events.iter().filter_map(|event| A::effect(stream, &after, event)).collect();
        let contact = after.contact();
        let meets = contact.filter(|_| loaded.aggregate.contact() != contact);
        let key = match (contact, meets) {
            // Nothing else would tell that the contact was erased a moment ago.
            (_, Some(contact)) => Some(self.keys.fresh(stream.tenant, contact).await?),
            (Some(contact), None) => self.keys.known(stream.tenant, contact).await.map(Some)?,
            (None, None) => None,
        };
        let new = (loaded.sequence + 1..).zip(&events);
        let new = new.map(|(sequence, event)| stored::<A>(event, key.as_ref(), stream, sequence));
        let new = new.collect::<Result<Vec<_>, _>>();
        let mut once = along.once.clone();
        // What has no effect may be asked again.
        once.extend(cause.once.as_deref().filter(|_| !events.is_empty()).map(|mark| Once::request(mark, A::TYPE)));
        let append = Append {
            aggregate_type: A::TYPE,
            stream: stream.clone(),
            meets,
            expected: loaded.sequence,
            events: new.map_err(|error| Attempt::Over(CommandError::Internal(error.into())))?,
            metadata: json!({
                "actor": cause.actor.to_string(), "correlationId": cause.correlation, "causationId": cause.causation.as_deref().unwrap_or(""),
            }),
            once,
            mark: along.mark.clone(),
            conclude: along.conclude.clone(),
            effects,
        };
        let later = append.effects.iter().any(|effect| matches!(effect, Effect::Later { .. }));
        let position = self.appender.append(append).await.map_err(Attempt::from)?;
        loaded.aggregate = after;
        loaded.sequence += i64::try_from(events.len()).unwrap_or_default();
        self.poke(!events.is_empty(), later);
        Ok((Reached { position, sequence: loaded.sequence }, events))
    }

    fn poke(&self, events: bool, later: bool) {
        if events {
            self.pokes.log.send_replace(());
        }
        if later {
            self.pokes.jobs.notify_one();
        }
    }

    /// Snapshots cost the caller nothing: they are written beside its answer.
    fn snapshot(&self, stream: &StreamId, loaded: &mut Loaded<A>) {
        if loaded.sequence - loaded.snapshot < SNAPSHOT_EVERY {
            return;
        }
        loaded.snapshot = loaded.sequence;
        let (pool, keys, stream, copy) = (self.pool.clone(), Arc::clone(&self.keys), stream.clone(), loaded.clone());
        tokio::spawn(async move {
            if let Err(error) = load::save_snapshot(&pool, &keys, &stream, &copy).await {
                tracing::warn!(%stream, %error, "No snapshot was kept");
            }
        });
    }
}

type Told<A> = (Reached, Vec<<A as Aggregate>::Event>);
type Decided<A> = Result<Vec<<A as Aggregate>::Event>, <A as Aggregate>::Error>;

enum Attempt<E: std::error::Error> {
    Again,
    Over(CommandError<E>),
}

impl<E: std::error::Error> From<AppendError> for Attempt<E> {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::Conflict => Self::Again,
            AppendError::KeyTaken => Self::Over(CommandError::AlreadyDone),
            AppendError::Occupied => Self::Over(CommandError::Occupied),
            AppendError::LeaseLost => Self::Over(CommandError::LeaseLost),
            AppendError::Unavailable(_) => Self::Over(CommandError::Unavailable),
            AppendError::Failed(source) => Self::Over(CommandError::Internal(Box::new(source))),
        }
    }
}

impl<E: std::error::Error> From<KeyError> for Attempt<E> {
    fn from(error: KeyError) -> Self {
        Self::Over(match error {
            KeyError::Erased => CommandError::ContactErased,
            KeyError::Database(error) if is_unavailable(&error) => CommandError::Unavailable,
            other => CommandError::Internal(Box::new(other)),
        })
    }
}

fn load_error<E: std::error::Error>(error: LoadError) -> CommandError<E> {
    match error {
        LoadError::Database(error) | LoadError::Key(KeyError::Database(error)) if is_unavailable(&error) => {
            CommandError::Unavailable
        }
        other => CommandError::Internal(Box::new(other)),
    }
}

#[async_trait]
impl<A: Reacts + Clone + 'static> Commands<A> for PgCommands<A>
where
    A::Command: Clone + Send + Sync,
    A::Event: Send + Sync,
    A::Error: Send,
{
    async fn run(
        &self,
        stream: &StreamId,
        cause: &Cause,
        command: A::Command,
        along: Along,
    ) -> Result<Reached, CommandError<A::Error>> {
        self.tell(stream, cause, command, along).await.map(|(reached, _)| reached)
    }

    async fn tell(
        &self,
        stream: &StreamId,
        cause: &Cause,
        command: A::Command,
        along: Along,
    ) -> Result<Told<A>, CommandError<A::Error>> {
        let slot = self.slot(stream);
        let mut slot = slot.lock().await;
        for attempt in 1..=ATTEMPTS_MAX {
            let (mut loaded, remembered) = match slot.take() {
                Some(loaded) => (loaded, true),
                None => (self.loaded(stream).await?, false),
            };
            let outcome = match self.decide(stream, &command, &mut loaded, remembered).await.map_err(load_error)? {
                Ok(events) => self.append(stream, cause, events, &along, &mut loaded).await,
                Err(rule) => Err(Attempt::Over(CommandError::Rule(rule))),
            };
            match outcome {
                Err(Attempt::Again) => {
                    let jitter = rand::rng().random_range(0..=5 * u64::from(attempt));
                    tokio::time::sleep(std::time::Duration::from_millis(jitter)).await;
                    load::catch_up(&self.pool, &self.keys, stream, &mut loaded).await.map_err(load_error)?;
                    *slot = Some(loaded);
                }
                // Whether it went in is not known: the stream is read anew next time.
                Err(Attempt::Over(error @ (CommandError::Unavailable | CommandError::Internal(_)))) => {
                    return Err(error);
                }
                settled => {
                    self.snapshot(stream, &mut loaded);
                    *slot = Some(loaded);
                    return settled.map_err(|attempt| match attempt {
                        Attempt::Over(error) => error,
                        Attempt::Again => CommandError::Contended,
                    });
                }
            }
        }
        Err(CommandError::Contended)
    }

    async fn load(&self, stream: &StreamId) -> Result<A, CommandError<A::Error>> {
        let slot = self.slot(stream);
        let mut slot = slot.lock().await;
        let mut loaded = match slot.take() {
            Some(loaded) => loaded,
            None => self.loaded(stream).await?,
        };
        load::catch_up(&self.pool, &self.keys, stream, &mut loaded).await.map_err(load_error)?;
        let aggregate = loaded.aggregate.clone();
        *slot = Some(loaded);
        Ok(aggregate)
    }
}
