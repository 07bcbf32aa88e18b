//! From an append straight to the sender: what may leave at once is claimed by the statement that writes it, and what
//! may not waits in the outbox.

use std::sync::Arc;

use application::effects::{Dispatch, Effect};
use domain::shared::channel::Address;
use domain::shared::content::OutboundContent;
use domain::shared::ids::{ConversationId, MessageId, StreamId, TenantId};
use domain::shared::phone::Phone;
use infrastructure::event_store::append::{Append, Appender};
use infrastructure::outbox::claim;
use infrastructure::outbox::departures::Departures;
use infrastructure::outbox::handoff::{Handed, Handoff};
use sqlx::PgPool;
use tests::app::LINE;
use tests::cluster::TestDatabase;
use tokio::sync::mpsc::UnboundedReceiver;
use uuid::Uuid;

use crate::event_store::given;

/// A log whose messages go straight to a sender.
struct Node {
    database: TestDatabase,
    handoff: Arc<Handoff>,
    appender: Appender,
    tenant: TenantId,
}

impl Node {
    async fn start() -> Self {
        let database = TestDatabase::create().await;
        let handoff = Arc::<Handoff>::default();
        handoff.limits.learn(LINE, 40);
        let appender = Appender::handing_on(database.pool.clone(), Arc::clone(&handoff));
        Self { database, handoff, appender, tenant: TenantId(Uuid::now_v7()) }
    }

    /// Sends on a lane, so many at once.
    async fn sends(&self, lane: ConversationId, many: usize) -> Vec<MessageId> {
        let messages: Vec<_> = (0..many).map(|_| MessageId(Uuid::now_v7())).collect();
        let effects = messages.iter().map(|message| Effect::Send(Box::new(dispatch(lane, *message)))).collect();
        let stream = StreamId::new(self.tenant, Uuid::now_v7());
        let events = [given::set("sends", many)];
        let append = Append { effects, ..given::append(&stream, 0, &events) };
        self.appender.append(append).await.expect("an append");
        messages
    }

    fn pool(&self) -> &PgPool {
        &self.database.pool
    }

    async fn states(&self) -> Vec<(Uuid, i16)> {
        let sql = "select message_id, state from outbox order by id";
        sqlx::query_as(sql).fetch_all(self.pool()).await.expect("the outbox")
    }
}

fn dispatch(lane: ConversationId, message_id: MessageId) -> Dispatch {
    Dispatch {
        lane,
        bucket: LINE.to_owned(),
        message_id,
        retry: 0,
        priority: 0,
        recipient: Address::of_phone(Phone::parse("+972501234567").expect("a phone")),
        content: OutboundContent::Text { text: "hello".to_owned(), preview_url: false },
    }
}

fn lane() -> ConversationId {
    ConversationId(Uuid::now_v7())
}

fn arrived(sender: &mut UnboundedReceiver<Handed>) -> Vec<Handed> {
    std::iter::from_fn(|| sender.try_recv().ok()).collect()
}

#[tokio::test]
async fn the_first_of_a_lane_goes_straight_and_the_others_wait_behind_it() {
    let node = Node::start().await;
    let mut sender = node.handoff.open();
    let lane = lane();
    let sent = node.sends(lane, 2).await;
    let later = node.sends(lane, 1).await;
    let handed = arrived(&mut sender);
    assert_eq!(handed.iter().map(|it| it.message.message_id).collect::<Vec<_>>(), sent[..1]);
    let expected = [(sent[0].0, 1), (sent[1].0, 0), (later[0].0, 0)];
    assert_eq!(node.states().await, expected);
    assert!(claim::claim(node.pool(), 10, &[], &[]).await.expect("a claim").is_empty(), "nobody else has it");
    assert!(claim::any_waits(node.pool()).await.expect("a look"));
    // What it was handed is as good as claimed: it may leave, and everything about it is known.
    let message = &handed[0].message;
    assert!(Departures::start(node.pool().clone()).leave(message).await);
    assert_eq!((message.attempts, message.tenant, message.lane), (1, node.tenant, lane));
    sqlx::query("delete from outbox where id = $1").bind(message.id).execute(node.pool()).await.expect("it was sent");
    let next = claim::claim(node.pool(), 10, &[], &[]).await.expect("a claim");
    assert_eq!(next.iter().map(|it| it.message_id).collect::<Vec<_>>(), sent[1..]);
}

#[tokio::test]
async fn without_a_sender_or_a_free_line_everything_waits() {
    let node = Node::start().await;
    let before = node.sends(lane(), 1).await;
    let mut sender = node.handoff.open();
    // A line of 40 a second takes ten at once.
    let taken: Vec<_> = std::iter::from_fn(|| node.handoff.limits.take(LINE, false).ok()).collect();
    let closed = node.sends(lane(), 1).await;
    drop(taken);
    node.handoff.close();
    let after = node.sends(lane(), 1).await;
    assert!(arrived(&mut sender).is_empty());
    assert_eq!(node.states().await, [before, closed, after].map(|it| (it[0].0, 0)));
}

#[tokio::test]
async fn an_append_that_is_refused_hands_nothing_on_and_takes_nothing_of_the_line() {
    let node = Node::start().await;
    let mut sender = node.handoff.open();
    let stream = StreamId::new(node.tenant, Uuid::now_v7());
    let append = |message| Append {
        effects: vec![Effect::Send(Box::new(dispatch(lane(), message)))],
        once: vec![given::key("a message")],
        ..given::append(&stream, 0, &[given::set("n", 1)])
    };
    let first = MessageId(Uuid::now_v7());
    node.appender.append(append(first)).await.expect("the first");
    for _ in 0..30 {
        assert!(node.appender.append(append(MessageId(Uuid::now_v7()))).await.is_err(), "the key is known");
    }
    assert_eq!(arrived(&mut sender).len(), 1);
    assert_eq!(node.states().await, [(first.0, 1)]);
    node.sends(lane(), 1).await;
    assert_eq!(arrived(&mut sender).len(), 1, "thirty refusals used nothing up");
}
