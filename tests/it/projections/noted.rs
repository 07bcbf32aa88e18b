//! A projection that notes how much it is asked to take in.

use std::sync::{Arc, Mutex};

use application::conversations::views::ConversationView;
use async_trait::async_trait;
use domain::shared::ids::StreamId;
use infrastructure::event_store::generations::{Held, Step, Which};
use infrastructure::event_store::keys::KeyRing;
use infrastructure::event_store::projector::{DocumentProjection, Projection, Stretch, Turn};
use infrastructure::event_store::rebuild::slices::{Page, Slice};
use sqlx::{PgConnection, PgPool};

/// A page that was read.
#[derive(Debug)]
pub struct NotedPage {
    /// How many events it was to have.
    pub limit: i64,
    /// How many it had; none when somebody else had the slice.
    pub events: i64,
}

/// Conversations, with notes.
pub struct Noted {
    inner: DocumentProjection<ConversationView>,
    pages: Mutex<Vec<NotedPage>>,
    turns: Mutex<Vec<i64>>,
}

impl Noted {
    pub fn new(pool: &PgPool) -> Arc<Self> {
        let inner = DocumentProjection::new(tests::keys(pool));
        Arc::new(Self { inner, pages: Mutex::default(), turns: Mutex::default() })
    }

    /// Pages, and the batches of turns, since the last call.
    pub fn take(&self) -> (Vec<NotedPage>, Vec<i64>) {
        let pages = std::mem::take(&mut *self.pages.lock().expect("pages"));
        (pages, std::mem::take(&mut *self.turns.lock().expect("turns")))
    }
}

#[async_trait]
impl Projection for Noted {
    fn name(&self) -> &'static str {
        self.inner.name()
    }
    fn aggregate(&self) -> &'static str {
        self.inner.aggregate()
    }
    fn keys(&self) -> &KeyRing {
        self.inner.keys()
    }
    fn batch(&self) -> i64 {
        self.inner.batch()
    }
    async fn take_in(
        &self,
        connection: &mut PgConnection,
        held: &Held,
        stretch: &Stretch,
    ) -> Result<Step, sqlx::Error> {
        self.inner.take_in(connection, held, stretch).await
    }
    async fn turn_of(&self, connection: &mut PgConnection, which: Which, batch: i64) -> Result<Turn, sqlx::Error> {
        self.turns.lock().expect("turns").push(batch);
        self.inner.turn_of(connection, which, batch).await
    }
    async fn page(&self, connection: &mut PgConnection, slice: &Slice, limit: i64) -> Result<Page, sqlx::Error> {
        let page = self.inner.page(connection, slice, limit).await?;
        let events = if let Page::Done(events) = page { events } else { 0 };
        self.pages.lock().expect("pages").push(NotedPage { limit, events });
        Ok(page)
    }
    async fn refold(&self, pool: &PgPool, streams: &[StreamId]) -> Result<(), sqlx::Error> {
        self.inner.refold(pool, streams).await
    }
}
