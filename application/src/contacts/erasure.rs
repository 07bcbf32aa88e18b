//! Forgetting a person: their key is destroyed, so that what the log holds of them cannot be read any more, and what
//! stands elsewhere is removed. The log itself is not touched: its proof stays good, and so do its counts.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use domain::appointment::Appointment;
use domain::appointment::command::AppointmentCommand;
use domain::conversation::Conversation;
use domain::conversation::command::ConversationCommand;
use domain::lead::Lead;
use domain::lead::command::LeadCommand;
use domain::shared::ids::{AppointmentId, ContactId, ConversationId, LeadId, StreamId, TenantId};

use crate::actor::Session;
use crate::appointments::views::AppointmentView;
use crate::commands::{Along, CatchUp, Commands};
use crate::conversations::message_view::MessageView;
use crate::conversations::views::ConversationView;
use crate::error::{AppError, AppResult};
use crate::leads::views::LeadView;
use crate::log::{Document, Position};
use crate::time::Clock;

/// Read models that show contacts.
const MODELS: [&str; 4] = [ConversationView::NAME, MessageView::NAME, LeadView::NAME, AppointmentView::NAME];
/// How often streams are looked for that began while the contact was being erased.
const LOOKS_MAX: usize = 5;

/// What there is of a contact.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Kept {
    /// Its conversations.
    pub conversations: BTreeSet<ConversationId>,
    /// Its leads.
    pub leads: BTreeSet<LeadId>,
    /// Its appointments.
    pub appointments: BTreeSet<AppointmentId>,
    /// Whether the log holds something of it in clear: events of the first release, which sealed nothing.
    pub in_clear: bool,
}

/// Where personal data lies.
#[async_trait]
pub trait PersonalData: Send + Sync {
    /// What there is of a contact; `None` when the account has no such contact.
    async fn of(&self, tenant: TenantId, contact: ContactId) -> AppResult<Option<Kept>>;
    /// Destroys the key and removes the contact from everything that is no read model, with an audit entry. Done
    /// again, it removes what came since and tells when it was done first.
    async fn destroy(&self, tenant: TenantId, contact: ContactId, kept: &Kept, actor: &str)
    -> AppResult<DateTime<Utc>>;
    /// Folds the contact's read models anew, from what can be read of its events now.
    async fn refold(&self, tenant: TenantId, kept: &Kept) -> AppResult<()>;
}

/// Erases contacts.
pub struct Erasure {
    /// Where conversations hear of it.
    pub conversations: Arc<dyn Commands<Conversation>>,
    /// Where leads hear of it.
    pub leads: Arc<dyn Commands<Lead>>,
    /// Where appointments hear of it.
    pub appointments: Arc<dyn Commands<Appointment>>,
    /// Where personal data lies.
    pub data: Arc<dyn PersonalData>,
    /// Lets the read models hear of it before they are folded anew.
    pub catch_up: Arc<dyn CatchUp>,
    /// Now.
    pub clock: Arc<dyn Clock>,
}

impl Erasure {
    /// Erases a contact. The streams hear of it first, so that nothing more is written to them; whatever began
    /// meanwhile is found at the next look. Asked again, it finishes what was cut off.
    ///
    /// # Errors
    /// The account has no such contact, or the log holds it in clear.
    pub async fn erase(&self, session: &Session, contact: ContactId) -> AppResult<DateTime<Utc>> {
        let (mut told, mut position) = (Kept::default(), None);
        for _ in 0..LOOKS_MAX {
            let kept = self.data.of(session.tenant, contact).await?.ok_or(AppError::NotFound("contact"))?;
            if kept.in_clear {
                let message = "the log holds events of this contact that were stored before events were sealed".into();
                return Err(AppError::Conflict { code: "stored_in_clear", message });
            }
            position = position.max(self.tell(session, contact, &kept).await?);
            let actor = session.cause().actor.to_string();
            let erased_at = self.data.destroy(session.tenant, contact, &kept, &actor).await?;
            if kept == told {
                // What they hear of later they read as it is by then: erased.
                if let Some(position) = position {
                    self.catch_up.wait(&MODELS, position).await;
                }
                self.data.refold(session.tenant, &kept).await?;
                return Ok(erased_at);
            }
            told = kept;
        }
        Err(AppError::Conflict { code: "contended", message: "the contact keeps writing; try again".into() })
    }

    /// Tells every stream; the position of the last that had not heard.
    async fn tell(&self, session: &Session, contact: ContactId, kept: &Kept) -> AppResult<Option<Position>> {
        let (cause, at) = (session.cause(), self.clock.now());
        let mut last = None;
        for conversation in &kept.conversations {
            let stream = StreamId::new(session.tenant, conversation.0);
            let command = ConversationCommand::Erase { at };
            let reached = self.conversations.run(&stream, &cause, command, Along::default()).await?;
            last = last.max(reached.position);
        }
        for lead in &kept.leads {
            let stream = StreamId::new(session.tenant, lead.0);
            let command = LeadCommand::Erase { contact, at };
            let reached = self.leads.run(&stream, &cause, command, Along::default()).await?;
            last = last.max(reached.position);
        }
        for appointment in &kept.appointments {
            let stream = StreamId::new(session.tenant, appointment.0);
            let command = AppointmentCommand::Erase { contact, at };
            let reached = self.appointments.run(&stream, &cause, command, Along::default()).await?;
            last = last.max(reached.position);
        }
        Ok(last)
    }
}
