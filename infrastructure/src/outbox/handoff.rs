//! From its append straight to this node's sender: a message that may leave at once is claimed by the statement that
//! writes it. Nobody has to look for it, and its row is written once less. Whatever is in the way (a line that is
//! closed, a conversation that has something on its way, a sender that is busy or not here), the message waits in the
//! outbox as any other.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use application::effects::Dispatch;
use domain::shared::ids::TenantId;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc};
use uuid::Uuid;

use crate::outbox::claim::Claimed;
use crate::outbox::limits::{Limits, Right};

/// Messages in flight at once.
const IN_FLIGHT_MAX: usize = 1_024;

/// What appends and the sender of a node share.
pub struct Handoff {
    /// How fast.
    pub limits: Arc<Limits>,
    /// Places of messages in flight.
    pub places: Arc<Semaphore>,
    sender: RwLock<Option<mpsc::UnboundedSender<Handed>>>,
    something_waits: AtomicBool,
    look: Notify,
}

/// A message in the sender's hands.
pub struct Handed {
    /// The message, claimed.
    pub message: Claimed,
    /// Its right to leave.
    pub right: Right,
    /// Its place in flight.
    pub place: OwnedSemaphorePermit,
}

/// The sender would take a message. Dropped, it is as if nobody had asked.
pub struct Offer {
    /// The lease that claims it.
    pub token: Uuid,
    right: Right,
    place: OwnedSemaphorePermit,
    sender: mpsc::UnboundedSender<Handed>,
}

impl Default for Handoff {
    fn default() -> Self {
        Self {
            limits: Arc::default(),
            places: Arc::new(Semaphore::new(IN_FLIGHT_MAX)),
            sender: RwLock::default(),
            something_waits: AtomicBool::new(true),
            look: Notify::new(),
        }
    }
}

impl Handoff {
    /// The node's sender takes messages from now on, until [`close`](Self::close).
    pub fn open(&self) -> mpsc::UnboundedReceiver<Handed> {
        let (sender, receiver) = mpsc::unbounded_channel();
        *self.sender.write().unwrap_or_else(PoisonError::into_inner) = Some(sender);
        receiver
    }

    /// It takes no more; what is under way arrives.
    pub fn close(&self) {
        *self.sender.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// A message waits in the outbox.
    pub fn waits(&self) {
        self.something_waits.store(true, Ordering::SeqCst);
        self.look.notify_one();
    }

    /// A message is done with: if one waits, perhaps for just that.
    pub fn done(&self) {
        if self.something_waits.load(Ordering::SeqCst) {
            self.look.notify_one();
        }
    }

    /// The sender looks now at what waits; whatever comes meanwhile says so again.
    pub fn looks(&self) {
        self.something_waits.store(false, Ordering::SeqCst);
    }

    /// Something waits still.
    pub fn still_waits(&self) {
        self.something_waits.store(true, Ordering::SeqCst);
    }

    /// Until there is something to look at.
    pub async fn awaited(&self) {
        self.look.notified().await;
    }

    /// Whether the sender would take this message at once. Not a retry: what it takes the place of has a row already.
    pub fn offer(&self, dispatch: &Dispatch) -> Option<Offer> {
        let sender = self.sender.read().unwrap_or_else(PoisonError::into_inner).clone()?;
        let place = Arc::clone(&self.places).try_acquire_owned().ok().filter(|_| dispatch.retry == 0)?;
        let right = self.limits.take_early(&dispatch.bucket, dispatch.priority > 0)?;
        Some(Offer { token: Uuid::new_v4(), right, place, sender })
    }
}

impl Offer {
    /// The message is written and claimed: it is the sender's.
    pub fn accept(self, id: i64, tenant: TenantId, dispatch: &Dispatch) {
        let message = Claimed {
            id,
            token: self.token,
            tenant,
            lane: dispatch.lane,
            bucket: dispatch.bucket.clone(),
            message_id: dispatch.message_id,
            recipient: dispatch.recipient.clone(),
            content: Some(dispatch.content.clone()),
            is_broadcast: dispatch.priority > 0,
            retry: dispatch.retry,
            attempts: 1,
            resent: false,
            expired: false,
        };
        // A sender that stopped meanwhile leaves it to its lease.
        drop(self.sender.send(Handed { message, right: self.right, place: self.place }));
    }
}
