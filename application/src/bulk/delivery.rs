//! Handing a bulk send's messages over: one command a recipient. The statement that writes its message
//! concludes its row, so it takes effect once.

use std::sync::Arc;

use domain::conversation::command::{ConversationCommand, Participants, PublishedFlow, RunRequest};
use domain::conversation::error::ConversationError;
use domain::conversation::event::TriggerKind;
use domain::conversation::template_choice::{TemplateChoice, TemplateChoices};
use domain::conversation::{BULK_MESSAGE, Conversation};
use domain::flow::graph::NodeId;
use domain::shared::channel::{Address, Channel};
use domain::shared::content::TemplateContent;
use domain::shared::ids::{BulkSendId, ContactId, MessageId, StreamId};
use domain::shared::phone::Phone;
use serde_json::json;
use uuid::Uuid;

use crate::actor::{Actor, Cause};
use crate::bulk::Plan;
use crate::commands::{Along, CommandError, Conclude, Reached};
use crate::contacts::{anew, is_erased};
use crate::conversations::ports::{Contacts, LineFacts};
use crate::conversations::runs::RunDecisions;
use crate::error::{AppError, AppResult};

/// The message of one recipient.
#[derive(Debug, Clone, PartialEq)]
pub struct Errand {
    /// The bulk send.
    pub bulk: BulkSendId,
    /// The recipient's number.
    pub number: i32,
    /// The lease it is held by.
    pub token: Uuid,
    /// The recipient.
    pub phone: Phone,
    /// Body parameters of this one.
    pub params: Option<Vec<String>>,
    /// The template that was chosen.
    pub choice: TemplateChoice,
}

/// Why one is not sent to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// A word.
    pub reason: &'static str,
    /// The same in words, when there is more to say.
    pub details: String,
}

/// Hands messages over.
pub struct BulkDelivery {
    /// Decides and appends.
    pub decisions: Arc<RunDecisions>,
    /// Who is behind a phone.
    pub contacts: Arc<dyn Contacts>,
}

impl Errand {
    fn seed(&self) -> Uuid {
        Uuid::new_v5(&self.bulk.0, self.number.to_string().as_bytes())
    }
}

impl Skipped {
    /// One that is not sent to.
    pub fn new(reason: &'static str, details: impl ToString) -> Self {
        Self { reason, details: details.to_string() }
    }
}

impl BulkDelivery {
    /// Hands one over, or says why it is not sent to. With a lease that was lost nothing happens: it is
    /// done already, or whoever holds the recipient now sees to it.
    ///
    /// # Errors
    /// It could not be stored; it may be tried again.
    pub async fn hand_over(
        &self,
        line: &LineFacts,
        plan: &Plan,
        flow: Option<&(PublishedFlow, NodeId)>,
        errand: Errand,
    ) -> AppResult<Option<Skipped>> {
        let address = Address::of_phone(errand.phone.clone());
        let contact = self.contacts.resolve(line.tenant, Channel::Whatsapp, &address).await?;
        let told = match self.run(line, plan, flow, &errand, contact, &address).await {
            Err(error) if is_erased(&error) => {
                let contact = anew(&*self.contacts, line.tenant, Channel::Whatsapp, &address).await?;
                self.run(line, plan, flow, &errand, contact, &address).await
            }
            told => told,
        };
        let rule = match told {
            Ok(_) | Err(CommandError::LeaseLost) => return Ok(None),
            Err(CommandError::Rule(rule)) => rule,
            Err(other) => return Err(AppError::from(other)),
        };
        let reason = match rule {
            ConversationError::Claimed => "claimed",
            ConversationError::TemplateUnavailable(_) => "template_unavailable",
            _ => "refused",
        };
        Ok(Some(Skipped::new(reason, rule)))
    }

    async fn run(
        &self,
        line: &LineFacts,
        plan: &Plan,
        flow: Option<&(PublishedFlow, NodeId)>,
        errand: &Errand,
        contact_id: ContactId,
        address: &Address,
    ) -> Result<Reached, CommandError<ConversationError>> {
        let seed = errand.seed();
        let phone = flow.map(|_| &errand.phone);
        let mut around = self.decisions.surroundings(line, phone).await.map_err(|error| match error {
            AppError::Unavailable => CommandError::Unavailable,
            other => CommandError::Internal(Box::new(other)),
        })?;
        (around.seed, around.templates) = (seed, TemplateChoices::Looked(vec![errand.choice.clone()]));
        let participants = Participants {
            contact_id,
            channel: Channel::Whatsapp,
            line: line.phone_number_id.clone(),
            address: address.clone(),
            name: None,
        };
        let params = errand.params.clone().unwrap_or_else(|| plan.content.params.clone());
        let content = TemplateContent { params, ..plan.content.clone() };
        let bulk_send_id = Some(errand.bulk);
        let command = match flow {
            None => ConversationCommand::SendTemplate { participants, content, bulk_send_id, around },
            Some((flow, node)) => ConversationCommand::StartRun {
                participants,
                request: Box::new(RunRequest {
                    flow: flow.clone(),
                    node: node.clone(),
                    trigger: TriggerKind::Outbound,
                    payload: json!({ "bulkSendId": errand.bulk, "templateParams": content.params }),
                    variables: [("templateParams".to_owned(), json!(content.params))].into_iter().collect(),
                    template: Some(content),
                    needs_open_window: false,
                    bulk_send_id,
                }),
                around,
            },
        };
        let conversation = Conversation::id_of(line.tenant, &line.phone_number_id, contact_id);
        let causation = Some(format!("bulk_send:{}", errand.bulk));
        let cause = Cause { actor: Actor::System, correlation: errand.bulk.0, causation, once: None };
        let message = MessageId::derive(seed, BULK_MESSAGE);
        let (bulk, number, token) = (errand.bulk, errand.number, errand.token);
        let conclude = Some(Conclude::Recipient { bulk, number, token, message });
        let along = Along { conclude, ..Along::default() };
        self.decisions.run(&StreamId::new(line.tenant, conversation.0), line, &cause, command, along).await
    }
}
