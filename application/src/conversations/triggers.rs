//! Runs that somebody outside starts: `webhook/outbound`, `webhook/flow/{flowId}` and its `/lead`.

use std::sync::Arc;

use domain::conversation::Conversation;
use domain::conversation::command::{ConversationCommand, Participants, PublishedFlow, RunRequest, Surroundings};
use domain::conversation::error::ConversationError;
use domain::conversation::event::TriggerKind;
use domain::conversation::template_choice::TemplateWanted;
use domain::flow::graph::NodeId;
use domain::flow::nodes::Trigger;
use domain::flow::run::Variables;
use domain::lead::command::LeadFacts;
use domain::shared::channel::{Address, Channel};
use domain::shared::content::TemplateContent;
use domain::shared::ids::{ConversationId, FlowId, RunId, StreamId, TemplateGroupId, TemplateId, TenantId};
use domain::shared::phone::Phone;
use serde_json::{Map, Value};

use crate::actor::Cause;
use crate::commands::{Along, CommandError, Reached};
use crate::contacts::{anew, is_erased};
use crate::conversations::Conversations;
use crate::conversations::message_view::MessageView;
use crate::conversations::ports::{Contacts, LineDirectory, LineFacts};
use crate::conversations::runs::RunDecisions;
use crate::error::{AppError, AppResult, OUTCOME_UNKNOWN};
use crate::leads::Leads;

/// What `POST /api/webhook/outbound` asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct OutboundRequest {
    /// Whom to write to.
    pub phone: Phone,
    /// The flow.
    pub flow_id: FlowId,
    /// The template sent first when the window is closed: one of this group,
    pub template_group_id: Option<TemplateGroupId>,
    /// the one with this id,
    pub template_id: Option<TemplateId>,
    /// or the one of this name.
    pub template_name: Option<String>,
    /// Answer before the first send is tried.
    pub queue: bool,
    /// Run variables.
    pub data: Map<String, Value>,
}

/// Which trigger a payload is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PayloadTrigger {
    /// `POST /api/webhook/flow/{flowId}/lead`.
    Lead,
    /// `GET,POST /api/webhook/flow/{flowId}`.
    Api,
}

/// What was started.
#[derive(Debug, Clone, PartialEq)]
pub struct Started {
    /// The conversation it runs in.
    pub conversation: ConversationId,
    /// The names of the run's variables.
    pub variables: Vec<String>,
    /// The first message, when the caller waited for it.
    pub first: Option<MessageView>,
}

/// Starts runs from outside.
pub struct Triggers {
    /// Decides and appends.
    pub decisions: Arc<RunDecisions>,
    /// For waiting until the first send came back.
    pub conversations: Arc<Conversations>,
    /// Leads that payloads tell of.
    pub leads: Arc<Leads>,
    /// Who is behind a phone.
    pub contacts: Arc<dyn Contacts>,
    /// The line to write on.
    pub lines: Arc<dyn LineDirectory>,
}

impl Triggers {
    /// Starts an outbound flow with one customer.
    ///
    /// # Errors
    /// The flow is not there, not active, has no outbound trigger; the window is closed and no template is
    /// given; a person has the conversation; the channel refused the first message.
    pub async fn outbound(&self, tenant: TenantId, cause: &Cause, request: OutboundRequest) -> AppResult<Started> {
        let template = request.first_template();
        let OutboundRequest { phone, flow_id, queue, data, .. } = request;
        let flow = self.active(tenant, flow_id).await?;
        let Some((node, needs_open_window)) = flow.outbound_trigger() else {
            return Err(AppError::invalid("the flow has no trigger_outbound node"));
        };
        let line = data.get("phoneNumberId").and_then(Value::as_str).map(str::to_owned);
        let variables = with_codes(data.clone());
        let request = RunRequest {
            flow,
            node,
            trigger: TriggerKind::Outbound,
            payload: Value::Object(data),
            variables,
            template,
            needs_open_window,
            bulk_send_id: None,
        };
        self.start(tenant, cause, phone, None, line.as_deref(), request, !queue).await
    }

    /// The active flow's trigger for a payload, with its settings; for checking who calls.
    ///
    /// # Errors
    /// The flow is not there, not active, or has no such trigger.
    pub async fn payload_trigger(
        &self,
        flow_id: FlowId,
        kind: PayloadTrigger,
    ) -> AppResult<(TenantId, PublishedFlow, NodeId)> {
        let tenant = self.decisions.library.owner(flow_id).await?.ok_or(AppError::NotFound("flow"))?;
        let flow = self.active(tenant, flow_id).await?;
        let node = flow.graph.nodes().find_map(|(id, node)| match (node.kind.trigger(), kind) {
            (Some(Trigger::LeadApi(_)), PayloadTrigger::Lead) | (Some(Trigger::Api(_)), PayloadTrigger::Api) => {
                Some(id.clone())
            }
            (Some(Trigger::LeadApi(_) | Trigger::Api(_) | Trigger::Message(_) | Trigger::Outbound(_)) | None, _) => {
                None
            }
        });
        let node = node.ok_or_else(|| {
            AppError::invalid(match kind {
                PayloadTrigger::Lead => "the flow has no trigger_lead_api node",
                PayloadTrigger::Api => "the flow has no trigger_api node",
            })
        })?;
        Ok((tenant, flow, node))
    }

    /// Starts a flow with a payload; a lead payload also captures the lead.
    ///
    /// # Errors
    /// The payload lacks a phone or a required field, or as [`Triggers::outbound`].
    pub async fn payload(
        &self,
        (tenant, flow, node): (TenantId, PublishedFlow, NodeId),
        cause: &Cause,
        payload: Map<String, Value>,
    ) -> AppResult<Started> {
        let invalid =
            |problems: Vec<_>| AppError::Invalid { message: "the payload does not fit the trigger".into(), problems };
        let mapped = match flow.graph.node(&node).and_then(|it| it.kind.trigger()) {
            Some(Trigger::LeadApi(trigger)) => {
                Some((TriggerKind::LeadApi, trigger.map_payload(&payload).map_err(invalid)?))
            }
            Some(Trigger::Api(trigger)) => Some((TriggerKind::Api, trigger.map_payload(&payload).map_err(invalid)?)),
            Some(Trigger::Message(_) | Trigger::Outbound(_)) | None => None,
        };
        let (trigger, variables) = mapped.ok_or(AppError::NotFound("trigger"))?;
        let text =
            |name: &str| variables.get(name).or_else(|| payload.get(name)).and_then(Value::as_str).map(str::to_owned);
        let phone = text("phone").ok_or_else(|| AppError::invalid("the payload has no `phone`"))?;
        let phone = Phone::parse(&phone).map_err(|error| AppError::invalid(error.to_string()))?;
        let name = text("name").or_else(|| text("customerName"));
        if trigger == TriggerKind::LeadApi {
            let facts = lead_facts(&variables, name.clone());
            match self.leads.record(tenant, cause, phone.clone(), facts, Along::default()).await {
                // The request came again after a process died on it; the run may still be missing.
                Err(AppError::Conflict { code: OUTCOME_UNKNOWN, .. }) => {}
                told => drop(told?),
            }
        }
        let line = text("phoneNumberId");
        let request = RunRequest {
            flow,
            node,
            trigger,
            payload: Value::Object(payload),
            variables,
            template: None,
            needs_open_window: false,
            bulk_send_id: None,
        };
        self.start(tenant, cause, phone, name, line.as_deref(), request, false).await
    }

    async fn active(&self, tenant: TenantId, flow_id: FlowId) -> AppResult<PublishedFlow> {
        let active = self.decisions.library.active(tenant).await?;
        if let Some(flow) = active.iter().find(|flow| flow.flow_id == flow_id) {
            return Ok(flow.clone());
        }
        match self.decisions.library.owner(flow_id).await? {
            Some(owner) if owner == tenant => Err(AppError::invalid("the flow is not active")),
            Some(_) | None => Err(AppError::NotFound("flow")),
        }
    }

    #[expect(clippy::too_many_arguments, reason = "everything a run is started with, spelled out at its two callers")]
    async fn start(
        &self,
        tenant: TenantId,
        cause: &Cause,
        phone: Phone,
        name: Option<String>,
        line: Option<&str>,
        request: RunRequest,
        wait_for_first: bool,
    ) -> AppResult<Started> {
        let pinned = match (line, &request.template) {
            (None, Some(wanted)) => self.decisions.templates.pinned_line(tenant, &TemplateWanted::by(wanted)).await?,
            (line, _) => line.map(str::to_owned),
        };
        let line = self.lines.choose(tenant, pinned.as_deref()).await?;
        let line = line.ok_or_else(|| AppError::invalid("the account has no such WhatsApp line"))?;
        if let Some(wanted) = &request.template {
            self.decisions.templates.check(&line, &TemplateWanted::by(wanted)).await?;
        }
        let address = Address::of_phone(phone.clone());
        let mut around = self.decisions.surroundings(&line, Some(&phone)).await?;
        if around.lead.is_none() && request.flow.reads_lead {
            around.lead = Some(self.decisions.lead(tenant, &phone).await?);
        }
        let run = RunId::derive(around.seed, "run");
        let variables = request.variables.keys().cloned().collect();
        let channel = Channel::Whatsapp;
        let participants = |contact_id| Participants {
            contact_id,
            channel,
            line: line.phone_number_id.clone(),
            address: address.clone(),
            name: name.clone(),
        };
        let contact = self.contacts.resolve(tenant, channel, &address).await?;
        let (conversation, reached) = match self.begin(&line, cause, participants(contact), &request, &around).await {
            Err(error) if is_erased(&error) => {
                let contact = anew(&*self.contacts, tenant, channel, &address).await?;
                self.begin(&line, cause, participants(contact), &request, &around).await?
            }
            begun => begun?,
        };
        self.conversations.caught_up(reached).await;
        let first = if wait_for_first {
            let reader = &self.conversations.reader;
            // A run whose first node is not a message has nothing to wait for.
            match reader.first_of_run(tenant, conversation, run.0).await? {
                Some(_) => self.conversations.answer(|| reader.first_of_run(tenant, conversation, run.0)).await?,
                None => None,
            }
        } else {
            None
        };
        Ok(Started { conversation, variables, first })
    }

    async fn begin(
        &self,
        line: &LineFacts,
        cause: &Cause,
        participants: Participants,
        request: &RunRequest,
        around: &Surroundings,
    ) -> Result<(ConversationId, Reached), CommandError<ConversationError>> {
        let tenant = line.tenant;
        let conversation = Conversation::id_of(tenant, &participants.line, participants.contact_id);
        let (request, around) = (Box::new(request.clone()), around.clone());
        let command = ConversationCommand::StartRun { participants, request, around };
        let stream = StreamId::new(tenant, conversation.0);
        Ok((conversation, self.decisions.run(&stream, line, cause, command, Along::default()).await?))
    }
}

impl OutboundRequest {
    /// What goes first where the flow may not talk yet.
    fn first_template(&self) -> Option<TemplateContent> {
        let text = |key: &str| self.data.get(key).and_then(Value::as_str).map(str::to_owned);
        let by_id = self.template_group_id.is_some() || self.template_id.is_some();
        let name = if by_id { None } else { self.template_name.clone().or_else(|| text("templateName")) };
        if !by_id && name.is_none() {
            return None;
        }
        let texts = |key: &str| texts(&self.data, key);
        Some(TemplateContent {
            name: name.unwrap_or_default(),
            // An id says the language.
            language: text("templateLanguage").filter(|_| self.template_id.is_none()).unwrap_or_default(),
            params: texts("templateParams"),
            header_param: text("headerParam"),
            button_params: texts("buttonParams"),
            group_id: self.template_group_id,
            template_id: self.template_id.filter(|_| self.template_group_id.is_none()),
        })
    }
}

fn texts(data: &Map<String, Value>, key: &str) -> Vec<String> {
    let as_text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    data.get(key).and_then(Value::as_array).map(|all| all.iter().map(as_text).collect()).unwrap_or_default()
}

/// One-time codes: `templateParams` alone is enough, `code` and `otpCode` follow from it.
fn with_codes(mut data: Map<String, Value>) -> Variables {
    if let Some(code) = texts(&data, "templateParams").into_iter().next() {
        for name in ["code", "otpCode"] {
            data.entry(name).or_insert_with(|| Value::from(code.clone()));
        }
    }
    data
}

fn lead_facts(variables: &Variables, name: Option<String>) -> LeadFacts {
    let text = |key: &str| variables.get(key).and_then(Value::as_str).map(str::to_owned);
    let own = ["phone", "name", "email", "source", "phoneNumberId"];
    let fields = variables.iter().filter(|(key, _)| !own.contains(&key.as_str()));
    LeadFacts {
        name,
        email: text("email"),
        source: text("source"),
        fields: fields.map(|(key, value)| (key.clone(), value.clone())).collect(),
        ..LeadFacts::default()
    }
}
