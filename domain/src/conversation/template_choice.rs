//! Which template a message goes out with, and why. What may be sent is looked up outside; what is done with it is
//! decided here and recorded beside the message: what was looked at, what spoke against it, what was taken instead.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::conversation::command::Surroundings;
use crate::conversation::decide::Draft;
use crate::conversation::error::ConversationError;
use crate::conversation::event::ConversationEvent;
use crate::conversation::{Begun, Conversation, Outbound};
use crate::flow::engine::Input;
use crate::flow::run::WaitFor;
use crate::shared::content::{OutboundContent, TemplateContent};
use crate::shared::delivery::DeliveryStatus;
use crate::shared::ids::{MessageId, TemplateGroupId, TemplateId};
use crate::template_group::Member;
use crate::template_group::pick_strategy::{Considered, PickStrategy};

/// What names the template somebody wants sent: a group, an id, or a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TemplateWanted {
    /// One of this group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group_id: Option<TemplateGroupId>,
    /// This one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template_id: Option<TemplateId>,
    /// The one of this name.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// In this language; empty when it does not matter.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub language: String,
}

impl TemplateWanted {
    /// What a content that may not have its template yet asks for.
    pub fn by(content: &TemplateContent) -> Self {
        Self {
            group_id: content.group_id,
            template_id: content.template_id,
            name: content.name.clone(),
            language: content.language.clone(),
        }
    }
}

/// What a group's order came from, so that a replay picks as it was picked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Draw {
    /// How the group picks.
    pub strategy: PickStrategy,
    /// Whose turn it was.
    pub turn: u64,
    /// What chance decided by.
    pub seed: u64,
}

/// A choice, with everything that was looked at for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TemplateChoice {
    /// What was asked for.
    pub wanted: TemplateWanted,
    /// How the order came about; absent where there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub draw: Option<Draw>,
    /// What was looked at, in that order.
    pub considered: Vec<Considered>,
    /// What was taken; nothing when none may be sent.
    pub chosen: Option<Member>,
}

impl TemplateChoice {
    /// Why nothing was taken, in words.
    pub fn reasons(&self) -> String {
        let each = self.considered.iter().filter_map(|it| {
            Some(format!("{} ({}): {}", it.member.name, it.member.language, it.passed_over.as_ref()?))
        });
        let all: Vec<String> = each.collect();
        if all.is_empty() { "there is no template to send".to_owned() } else { all.join("; ") }
    }
}

/// What is known of templates when a decision needs one.
#[derive(Debug, Clone, Default)]
pub enum TemplateChoices {
    /// Nothing is looked up and nothing recorded: what is asked for is taken as it is. For replays and simulations,
    /// which send nothing.
    #[default]
    AsAsked,
    /// These. A decision that needs another refuses with `TemplateNeeded`; the caller brings it and asks again.
    Looked(Vec<TemplateChoice>),
}

impl TemplateChoices {
    /// The choice for what is wanted; `None` where nothing is recorded.
    ///
    /// # Errors
    /// It was not looked up yet.
    pub(super) fn of(&self, wanted: &TemplateContent) -> Result<Option<&TemplateChoice>, ConversationError> {
        let Self::Looked(choices) = self else { return Ok(None) };
        let wanted = TemplateWanted::by(wanted);
        match choices.iter().find(|choice| choice.wanted == wanted) {
            Some(choice) => Ok(Some(choice)),
            None => Err(ConversationError::TemplateNeeded(Box::new(wanted))),
        }
    }
}

impl TemplateContent {
    /// The same with the template that was chosen for it.
    #[must_use]
    pub fn with(self, chosen: &Member) -> Self {
        Self { name: chosen.name.clone(), language: chosen.language.clone(), ..self }
    }
}

impl Outbound {
    /// Whether another template of its group is looked for, because the channel refused the one it went with.
    pub fn falls_back(&self) -> bool {
        let of_group = self.template.as_ref().is_some_and(|template| template.group_id.is_some());
        self.status == DeliveryStatus::Failed && self.template_refused && of_group
    }
}

impl Conversation {
    /// Takes the next template of the group for a message whose template was refused, or says that there is none. A
    /// refusal is answered once: by the number of the try it is about.
    pub(super) fn fall_back(
        &self,
        message_id: MessageId,
        retry: u32,
        choice: TemplateChoice,
        around: &Surroundings,
    ) -> Result<Vec<ConversationEvent>, ConversationError> {
        let mut draft = Draft::of(self);
        let begun = draft.begun()?;
        let refused = begun.outbound.iter().find(|it| it.id == message_id && it.retry == retry && it.falls_back());
        let Some(refused) = refused.cloned() else { return Ok(Vec::new()) };
        let (line, to, at) = (begun.line.clone(), begun.address.clone(), around.now);
        let chosen = choice.chosen.clone();
        let refusal = refused.refusals.last().map(|(_, code)| *code);
        draft.emit(ConversationEvent::TemplateChosen { message_id, retry: retry + 1, choice, refusal, at });
        match (chosen, refused.template) {
            (Some(chosen), Some(template)) => {
                let content = OutboundContent::Template(template.with(&chosen));
                let (by, retry) = (None, retry + 1);
                draft.emit(ConversationEvent::MessageRetried { message_id, retry, by, content, line, to, at });
            }
            _ if draft.begun()?.awaits_delivery_of(message_id) => {
                draft.advance_run(&Input::Delivery(false), None, around)?;
            }
            _ => {}
        }
        Ok(draft.events)
    }
}

impl Begun {
    /// Whether the run waits to hear of just this message.
    pub(super) fn awaits_delivery_of(&self, message_id: MessageId) -> bool {
        let wait = self.run.as_ref().and_then(|run| run.wait.as_ref());
        self.run_message == Some(message_id) && wait.is_some_and(|wait| wait.wait_for == WaitFor::Delivery)
    }
}

impl Draft {
    /// Records why a message has the template it has.
    pub(super) fn explain(&mut self, message_id: MessageId, choice: Option<TemplateChoice>, at: DateTime<Utc>) {
        if let Some(choice) = choice {
            self.emit(ConversationEvent::TemplateChosen { message_id, retry: 0, choice, refusal: None, at });
        }
    }
}
