//! How things stood: the same documents as live, folded from a stream's events up to a point.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use cqrs_es::Aggregate;
use domain::appointment::Appointment;
use domain::conversation::Conversation;
use domain::flow::Flow;
use domain::lead::Lead;
use domain::shared::ids::{AppointmentId, ConversationId, FlowId, StreamId};
use domain::shared::phone::Phone;
use domain::template::Template;

use crate::actor::Session;
use crate::appointments::views::AppointmentView;
use crate::conversations::Details;
use crate::conversations::message_view::MessageView;
use crate::conversations::views::ConversationView;
use crate::error::{AppError, AppResult};
use crate::flows::views::FlowView;
use crate::history::at::At;
use crate::leads::views::LeadView;
use crate::log::{Document, Documents, Recorded};
use crate::page::{Cursor, Page, PageRequest};
use crate::templates::named::TemplateName;
use crate::templates::ports::TemplateReader;
use crate::templates::views::TemplateView;
use crate::time::Clock;

/// Replays streams.
#[async_trait]
pub trait Past<A: Aggregate>: Send + Sync {
    /// Hands a stream's events over in order, up to `at`; none when it had not begun.
    async fn replay(&self, stream: &StreamId, at: &At, take: Take<'_, A>) -> AppResult<()>;
}

/// Who takes a stream's events.
pub type Take<'a, A> = &'a mut (dyn for<'e> FnMut(&'e Recorded<<A as Aggregate>::Event>) + Send);

/// What can be seen as it was. Whatever gets a detail operation gets its stream here.
pub struct TimeTravel {
    /// Conversations.
    pub conversations: Arc<dyn Past<Conversation>>,
    /// Flows.
    pub flows: Arc<dyn Past<Flow>>,
    /// Leads.
    pub leads: Arc<dyn Past<Lead>>,
    /// Templates.
    pub templates: Arc<dyn Past<Template>>,
    /// Appointments.
    pub appointments: Arc<dyn Past<Appointment>>,
    /// Which templates ever had a name.
    pub template_names: Arc<dyn TemplateReader>,
    /// Now: nothing is known of later.
    pub clock: Arc<dyn Clock>,
}

impl TimeTravel {
    /// A conversation with a page of its messages. Whether its window was open is told for the time asked for; for
    /// a position, for the time of the last event by then.
    ///
    /// # Errors
    /// It had not begun.
    pub async fn conversation(
        &self,
        session: &Session,
        id: ConversationId,
        at: &At,
        page: &PageRequest,
    ) -> AppResult<Details> {
        let stream = StreamId::new(session.tenant, id.0);
        let (mut rows, mut messages) = (Documents::<ConversationView>::default(), Documents::<MessageView>::default());
        let mut last = DateTime::<Utc>::default();
        let mut take = |recorded: &Recorded<_>| {
            rows.take(recorded);
            messages.take(recorded);
            last = recorded.recorded_at;
        };
        self.conversations.replay(&stream, at, &mut take).await?;
        let now = match at {
            At::Time(time) => self.clock.now().min(*time),
            At::Position(_) => last,
        };
        let row = stored(rows)?.pop().ok_or(AppError::NotFound("conversation"))?;
        Ok(Details::of(row, newest(stored(messages)?, page), now))
    }

    /// A flow.
    ///
    /// # Errors
    /// It had not begun, or was deleted by then.
    pub async fn flow(&self, session: &Session, id: FlowId, at: &At) -> AppResult<FlowView> {
        let flow = one(&*self.flows, &StreamId::new(session.tenant, id.0), at).await?;
        flow.ok_or(AppError::NotFound("flow"))
    }

    /// A lead.
    ///
    /// # Errors
    /// It had not begun, or its contact was erased since.
    pub async fn lead(&self, session: &Session, phone: &Phone, at: &At) -> AppResult<LeadView> {
        let stream = StreamId::new(session.tenant, Lead::id_of(session.tenant, phone).0);
        let lead: Option<LeadView> = one(&*self.leads, &stream, at).await?;
        // What is left of an erased lead is nobody's.
        lead.filter(|lead| lead.phone.is_some()).ok_or(AppError::NotFound("lead"))
    }

    /// An appointment.
    ///
    /// # Errors
    /// It was not made yet.
    pub async fn appointment(&self, session: &Session, id: AppointmentId, at: &At) -> AppResult<AppointmentView> {
        let appointment = one(&*self.appointments, &StreamId::new(session.tenant, id.0), at).await?;
        appointment.ok_or(AppError::NotFound("appointment"))
    }

    /// A template. Which one is meant is told by those that were there then.
    ///
    /// # Errors
    /// None had begun that is meant, or several are.
    pub async fn template(&self, session: &Session, wanted: &TemplateName, at: &At) -> AppResult<TemplateView> {
        let known = self.template_names.named(session.tenant, &[&wanted.name]).await?;
        let mut then = Vec::new();
        for id in known.iter().filter_map(|it| it.known()).map(|it| it.id) {
            then.extend(one(&*self.templates, &StreamId::new(session.tenant, id.0), at).await?);
        }
        wanted.only(then)
    }
}

/// The document of a stream that has one.
async fn one<D: Document>(past: &dyn Past<D::Aggregate>, stream: &StreamId, at: &At) -> AppResult<Option<D>> {
    Ok(all(past, stream, at).await?.pop())
}

/// A stream's documents as they stood. What a write answers with while the read models lag behind it.
///
/// # Errors
/// The stream cannot be read.
pub async fn all<D: Document>(past: &dyn Past<D::Aggregate>, stream: &StreamId, at: &At) -> AppResult<Vec<D>> {
    let mut documents = Documents::<D>::default();
    past.replay(stream, at, &mut |recorded| documents.take(recorded)).await?;
    stored(documents)
}

fn stored<D: Document>(documents: Documents<D>) -> AppResult<Vec<D>> {
    documents.into_stored().map_err(AppError::internal)
}

/// The newest messages before the cursor, oldest of them first; as the reader of live ones pages them.
fn newest(mut messages: Vec<MessageView>, page: &PageRequest) -> Page<MessageView> {
    let before: Option<i64> = page.after.as_ref().and_then(|cursor| cursor.sort.parse().ok());
    messages.retain(|message| before.is_none_or(|before| message.ordinal < before));
    messages.sort_unstable_by_key(|message| message.ordinal);
    let older = messages.len().saturating_sub(page.limit as usize);
    let rows = messages.split_off(older);
    let next = rows.first().filter(|_| older > 0);
    let next = next.map(|oldest| Cursor { sort: oldest.ordinal.to_string(), key: oldest.id.to_string() });
    Page { rows, next, total: None }
}
