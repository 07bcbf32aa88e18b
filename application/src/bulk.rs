//! Bulk sends: one template to many customers, each recipient once, whoever dies meanwhile.

pub mod delivery;
pub mod ports;
pub mod views;

use std::collections::HashSet;
use std::sync::Arc;

use domain::conversation::template_choice::TemplateWanted;
use domain::shared::content::TemplateContent;
use domain::shared::ids::{BulkSendId, FlowId};
use domain::shared::phone::Phone;
use serde::{Deserialize, Serialize};

use crate::actor::Session;
use crate::bulk::ports::{BulkStore, Queued};
use crate::bulk::views::{BulkSendMade, BulkSendView, RecipientFilter, RecipientView, SkippedView};
use crate::conversations::ports::LineDirectory;
use crate::error::{AppError, AppResult};
use crate::flows::ports::FlowLibrary;
use crate::page::{Page, PageRequest};
use crate::templates::choose::TemplateChooser;
use crate::time::NewId;

/// Recipients of one bulk send at most.
pub const RECIPIENTS_MAX: usize = 100_000;

/// Somebody a bulk send is for, as the caller says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addressed {
    /// The phone.
    pub phone: String,
    /// Body parameters of this one; the common ones when absent.
    pub params: Option<Vec<String>>,
}

/// What `POST /api/templates/bulk-send` asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct BulkRequest {
    /// The template, by id, group or name, with the parameters everybody gets.
    pub content: TemplateContent,
    /// To whom.
    pub recipients: Vec<Addressed>,
    /// The flow an answer goes on in.
    pub flow_id: Option<FlowId>,
    /// The line; else the group's, else the primary one.
    pub phone_number_id: Option<String>,
    /// Whether templates of the category MARKETING may be sent.
    pub allow_marketing: bool,
    /// Whether those get it too who got the same within a day.
    pub force_send: bool,
}

/// A bulk send as it is carried out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// The template.
    pub content: TemplateContent,
    /// The flow an answer goes on in.
    pub flow_id: Option<FlowId>,
    /// Whether templates of the category MARKETING may be sent.
    pub allow_marketing: bool,
    /// Whether those get it too who got the same within a day.
    pub force_send: bool,
}

/// The bulk sends of accounts.
pub struct BulkSends {
    /// Where they are kept.
    pub store: Arc<dyn BulkStore>,
    /// What may be sent.
    pub templates: Arc<TemplateChooser>,
    /// The lines.
    pub lines: Arc<dyn LineDirectory>,
    /// The flows answers go on in.
    pub library: Arc<dyn FlowLibrary>,
    /// Ids.
    pub ids: Arc<dyn NewId>,
}

impl BulkSends {
    /// Queues a bulk send. Who is not sent to is told with the reason: named twice, no phone, sent the same within a day,
    /// opted out.
    ///
    /// # Errors
    /// The template, flow or line is not there or may not be used, or nobody is left to send to.
    pub async fn start(&self, session: &Session, request: BulkRequest) -> AppResult<BulkSendMade> {
        let BulkRequest { content, recipients, flow_id, phone_number_id, allow_marketing, force_send } = request;
        let wanted = TemplateWanted::by(&content);
        let pinned = match phone_number_id {
            Some(line) => Some(line),
            None => self.templates.pinned_line(session.tenant, &wanted).await?,
        };
        let line = self.lines.choose(session.tenant, pinned.as_deref()).await?;
        let line = line.ok_or_else(|| AppError::invalid("the account has no such WhatsApp line"))?;
        self.templates.check(&line, &wanted).await?;
        self.check_flow(session, flow_id).await?;
        let look = self.templates.look(&line, &wanted, allow_marketing).await?;
        if look.chosen.is_none() {
            return Err(AppError::Conflict { code: "template_unavailable", message: look.reasons() });
        }
        let (queued, mut skipped) = sorted(recipients);
        if queued.is_empty() {
            return Err(AppError::invalid("none of the recipients has a phone number in international form"));
        }
        let id = BulkSendId(self.ids.new_id());
        let plan = Plan { content, flow_id, allow_marketing, force_send };
        let names: Vec<String> = look.considered.iter().map(|it| it.member.name.clone()).collect();
        let passed_over = self.store.create(session, id, &line, &plan, &names, &queued).await?;
        let waiting = queued.len() - passed_over.len();
        skipped.extend(passed_over);
        Ok(BulkSendMade { bulk_send_id: id, phone_number_id: line.phone_number_id, queued: waiting as u64, skipped })
    }

    /// One bulk send, or the newest.
    ///
    /// # Errors
    /// There is none with this id.
    pub async fn list(&self, session: &Session, id: Option<BulkSendId>) -> AppResult<Vec<BulkSendView>> {
        let found = self.store.list(session.tenant, id).await?;
        if id.is_some() && found.is_empty() { Err(AppError::NotFound("bulk send")) } else { Ok(found) }
    }

    /// Its recipients, in the order they were named.
    ///
    /// # Errors
    /// There is no such bulk send.
    pub async fn recipients(
        &self,
        session: &Session,
        id: BulkSendId,
        filter: RecipientFilter,
        page: &PageRequest,
    ) -> AppResult<Page<RecipientView>> {
        self.list(session, Some(id)).await?;
        self.store.recipients(session.tenant, id, filter, page).await
    }

    /// Stops it: who was not claimed yet gets nothing. Ending it again changes nothing.
    ///
    /// # Errors
    /// There is no such bulk send.
    pub async fn cancel(&self, session: &Session, id: BulkSendId) -> AppResult<BulkSendView> {
        self.list(session, Some(id)).await?;
        self.store.cancel(session, id).await?;
        self.list(session, Some(id)).await?.pop().ok_or(AppError::NotFound("bulk send"))
    }

    async fn check_flow(&self, session: &Session, flow_id: Option<FlowId>) -> AppResult<()> {
        let Some(id) = flow_id else { return Ok(()) };
        let active = self.library.active(session.tenant).await?;
        let flow = active.iter().find(|flow| flow.flow_id == id);
        let flow = flow.ok_or_else(|| AppError::invalid("there is no such active flow"))?;
        flow.outbound_trigger().map(drop).ok_or_else(|| AppError::invalid("the flow has no trigger_outbound node"))
    }
}

/// Everybody once, and who was named twice or has no phone number.
fn sorted(recipients: Vec<Addressed>) -> (Vec<Queued>, Vec<SkippedView>) {
    let (mut queued, mut skipped, mut known) = (Vec::with_capacity(recipients.len()), Vec::new(), HashSet::new());
    for Addressed { phone, params } in recipients {
        match Phone::parse(&phone) {
            Ok(parsed) if known.insert(parsed.clone()) => queued.push(Queued { phone: parsed, params }),
            Ok(_) => skipped.push(SkippedView { phone, reason: "duplicate".to_owned() }),
            Err(_) => skipped.push(SkippedView { phone, reason: "invalid_phone".to_owned() }),
        }
    }
    (queued, skipped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_is_sent_to_once() {
        let to = |phone: &str| Addressed { phone: phone.into(), params: None };
        let (queued, skipped) =
            sorted(vec![to("+972501234567"), to("+972 50-123-4567"), to("050"), to("+972501234568")]);
        let phones: Vec<String> = queued.iter().map(|it| it.phone.to_string()).collect();
        assert_eq!(phones, ["+972501234567", "+972501234568"]);
        let reasons: Vec<&str> = skipped.iter().map(|it| it.reason.as_str()).collect();
        assert_eq!(reasons, ["duplicate", "invalid_phone"]);
    }
}
