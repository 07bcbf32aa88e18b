//! What can be asked of a conversation.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::conversation::event::TriggerKind;
use crate::conversation::template_choice::{TemplateChoice, TemplateChoices};
use crate::flow::drawflow;
use crate::flow::graph::{NodeId, SharedGraph};
use crate::flow::nodes::Trigger;
use crate::flow::run::{EXPIRES_AFTER_SEC, Variables};
use crate::flow::validation::Problem;
use crate::shared::channel::{Address, Channel};
use crate::shared::content::{OutboundContent, TemplateContent};
use crate::shared::delivery::DeliveryStatus;
use crate::shared::ids::{BulkSendId, ContactId, FlowId, MessageId, UserId};
use crate::shared::inbound::InboundMessage;
use crate::shared::provider_error::ProviderError;

/// Who talks to whom; starts the conversation when it is new.
#[derive(Debug, Clone, PartialEq)]
pub struct Participants {
    /// The contact.
    pub contact_id: ContactId,
    /// Where.
    pub channel: Channel,
    /// Our line (WhatsApp: the phone number id).
    pub line: String,
    /// How the contact is reached.
    pub address: Address,
    /// The contact's name, when it is told.
    pub name: Option<String>,
}

/// A published version of an active flow.
#[derive(Debug, Clone)]
pub struct PublishedFlow {
    /// The flow.
    pub flow_id: FlowId,
    /// Its name.
    pub name: Arc<str>,
    /// The version.
    pub version: u32,
    /// Its graph.
    pub graph: SharedGraph,
    /// How long a run of it may wait, in seconds.
    pub expires_after_sec: u32,
    /// Whether a node of it looks at `lead.*`, so that the lead must be read first.
    pub reads_lead: bool,
}

impl PublishedFlow {
    /// Reads a flow's Drawflow JSON into what runs.
    ///
    /// # Errors
    /// Every reason why the graph cannot run.
    pub fn read(flow_id: FlowId, name: Arc<str>, version: u32, drawflow: &Value) -> Result<Self, Vec<Problem>> {
        let graph = Arc::new(drawflow::read(drawflow)?.graph);
        let said = drawflow.get("expiresAfterSec").and_then(Value::as_u64);
        let said = said.and_then(|seconds| u32::try_from(seconds).ok()).filter(|seconds| *seconds > 0);
        let expires_after_sec = said.unwrap_or(EXPIRES_AFTER_SEC);
        let reads_lead = drawflow.to_string().contains("lead");
        Ok(Self { flow_id, name, version, graph, expires_after_sec, reads_lead })
    }

    /// The node an outbound run starts at, and whether a closed window without a template refuses it.
    pub fn outbound_trigger(&self) -> Option<(NodeId, bool)> {
        self.graph.nodes().find_map(|(id, node)| match node.kind.trigger() {
            Some(Trigger::Outbound(trigger)) => Some((id.clone(), trigger.require_template_when_window_closed)),
            Some(Trigger::Message(_) | Trigger::LeadApi(_) | Trigger::Api(_)) | None => None,
        })
    }
}

/// The flows a decision may look into. When the waiting run is pinned to a version that is not here, the
/// decision refuses with `GraphNeeded`; the caller brings it and asks again.
#[derive(Debug, Clone, Default)]
pub struct Library {
    /// Every active flow of the account, in the order they were made.
    pub active: Arc<[PublishedFlow]>,
    /// A version that was asked for.
    pub pinned: Option<PublishedFlow>,
}

impl Library {
    /// The graph of one version.
    pub fn graph(&self, flow_id: FlowId, version: u32) -> Option<&PublishedFlow> {
        let wanted = |flow: &&PublishedFlow| flow.flow_id == flow_id && flow.version == version;
        self.active.iter().chain(&self.pinned).find(wanted)
    }
}

/// What every decision that may move a run needs from outside.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// The flows.
    pub library: Library,
    /// The contact's lead as it stands, for the `lead` scope; `None` when it was not read this time.
    pub lead: Option<Value>,
    /// The account's time zone.
    pub timezone: chrono_tz::Tz,
    /// Now.
    pub now: DateTime<Utc>,
    /// A fresh id; every id the decision needs is derived from it.
    pub seed: uuid::Uuid,
    /// What was looked up of templates.
    pub templates: TemplateChoices,
}

/// A run somebody asks for.
#[derive(Debug, Clone)]
pub struct RunRequest {
    /// The flow.
    pub flow: PublishedFlow,
    /// The trigger node it starts at.
    pub node: NodeId,
    /// What kind of trigger.
    pub trigger: TriggerKind,
    /// The payload, for `trigger.*`.
    pub payload: Value,
    /// Run variables from the start.
    pub variables: Variables,
    /// A template sent first; the run goes on when the customer answers it.
    pub template: Option<TemplateContent>,
    /// Whether a closed window without a template refuses the run.
    pub needs_open_window: bool,
    /// The bulk send it belongs to: the template goes first then, whatever the window.
    pub bulk_send_id: Option<BulkSendId>,
}

/// News of one of our messages.
#[derive(Debug, Clone, PartialEq)]
pub struct DeliveryNews {
    /// The message.
    pub message_id: MessageId,
    /// How far it came.
    pub status: DeliveryStatus,
    /// The channel's id, when it is told.
    pub provider_message_id: Option<String>,
    /// Why it failed.
    pub error: Option<ProviderError>,
    /// It went out twice.
    pub possible_duplicate: bool,
    /// Which try it speaks of: 0 for the first, else the number of the retry.
    pub retry: u32,
    /// By the clock of who tells it.
    pub at: DateTime<Utc>,
}

/// What a person does with a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handling {
    /// Take it over.
    Claim,
    /// Give it back.
    Release,
    /// Call it done.
    Close,
    /// Take it up again.
    Reopen,
}

/// A wish about one conversation.
#[derive(Debug, Clone)]
pub enum ConversationCommand {
    /// The customer wrote.
    Receive {
        /// Who.
        participants: Participants,
        /// What.
        message: InboundMessage,
        /// What the decision may look into.
        around: Surroundings,
    },
    /// Somebody outside starts a flow.
    StartRun {
        /// With whom.
        participants: Participants,
        /// Which.
        request: Box<RunRequest>,
        /// What the decision may look into.
        around: Surroundings,
    },
    /// A template goes out by itself.
    SendTemplate {
        /// To whom.
        participants: Participants,
        /// What.
        content: TemplateContent,
        /// As one of many.
        bulk_send_id: Option<BulkSendId>,
        /// What the decision may look into.
        around: Surroundings,
    },
    /// The template of a message was refused; here is what its group has instead.
    FallBack {
        /// The message.
        message_id: MessageId,
        /// The try that was refused.
        retry: u32,
        /// What to do instead.
        choice: TemplateChoice,
        /// What the decision may look into.
        around: Surroundings,
    },
    /// A timer fired.
    Timer {
        /// The run it was set for.
        run_id: crate::shared::ids::RunId,
        /// The wait it was set for.
        step: u32,
        /// What the decision may look into.
        around: Surroundings,
    },
    /// A message got on.
    Delivery {
        /// The news.
        news: DeliveryNews,
        /// What the decision may look into.
        around: Surroundings,
    },
    /// A person writes.
    Reply {
        /// Who.
        by: UserId,
        /// The message's id.
        message_id: MessageId,
        /// What.
        content: OutboundContent,
        /// Now.
        at: DateTime<Utc>,
    },
    /// A person has a message that failed sent again.
    Retry {
        /// Who.
        by: UserId,
        /// The message.
        message_id: MessageId,
        /// How often that was done before, as the person saw it; another number is a lost race.
        retries: u32,
        /// What it says.
        content: OutboundContent,
        /// Now.
        at: DateTime<Utc>,
    },
    /// A person takes, gives back, closes or reopens it.
    Handle {
        /// What.
        handling: Handling,
        /// Who.
        by: UserId,
        /// The version the person saw; another one is a lost race.
        expected_version: Option<u32>,
        /// Now.
        at: DateTime<Utc>,
    },
    /// Forget the contact.
    Erase {
        /// Now.
        at: DateTime<Utc>,
    },
    /// The contact is reached otherwise from now on.
    ChangeAddress {
        /// How.
        address: Address,
        /// Now.
        at: DateTime<Utc>,
    },
}

impl ConversationCommand {
    /// What the decision may look into, for whoever has to bring what it asked for; none where nothing moves a run.
    pub fn surroundings(&mut self) -> Option<&mut Surroundings> {
        match self {
            Self::Receive { around, .. }
            | Self::StartRun { around, .. }
            | Self::SendTemplate { around, .. }
            | Self::FallBack { around, .. }
            | Self::Timer { around, .. }
            | Self::Delivery { around, .. } => Some(around),
            Self::Reply { .. }
            | Self::Retry { .. }
            | Self::Handle { .. }
            | Self::ChangeAddress { .. }
            | Self::Erase { .. } => None,
        }
    }
}

impl Surroundings {
    /// Puts in a version the decision asked for.
    pub fn bring(&mut self, flow: PublishedFlow) {
        self.library.pinned = Some(flow);
    }

    /// Puts in a template the decision asked for.
    pub fn choose(&mut self, choice: TemplateChoice) {
        match &mut self.templates {
            TemplateChoices::Looked(choices) => choices.push(choice),
            TemplateChoices::AsAsked => {}
        }
    }
}
