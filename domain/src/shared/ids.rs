//! Typed identifiers.

uuid_id! { /// An account: the owner of everything below it.
TenantId }
uuid_id! { /// A person who signs in.
UserId }
uuid_id! { /// A flow.
FlowId }
uuid_id! { /// One run of a flow in one conversation.
RunId }
uuid_id! { /// A conversation: one contact on one line.
ConversationId }
uuid_id! { /// A contact: one person, known by one or more identifiers.
ContactId }
uuid_id! { /// A message, inbound or outbound, by our own id.
MessageId }
uuid_id! { /// A lead.
LeadId }
uuid_id! { /// An appointment.
AppointmentId }
uuid_id! { /// A task.
TaskId }
uuid_id! { /// A template: one name in one language on one WhatsApp Business Account.
TemplateId }
uuid_id! { /// A group of templates that say the same.
TemplateGroupId }
uuid_id! { /// One message to many customers.
BulkSendId }

/// The id of an event stream: `<tenant>/<id>`, so that no one can even address another tenant's stream.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamId {
    /// The account that owns the stream.
    pub tenant: TenantId,
    /// The aggregate's own id.
    pub id: uuid::Uuid,
}

impl StreamId {
    /// The stream of one aggregate of one account.
    pub fn new(tenant: TenantId, id: uuid::Uuid) -> Self {
        Self { tenant, id }
    }
}

impl std::fmt::Display for StreamId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.tenant, self.id)
    }
}

impl std::str::FromStr for StreamId {
    type Err = uuid::Error;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (tenant, id) = text.split_once('/').unwrap_or((text, ""));
        Ok(Self { tenant: tenant.parse()?, id: id.parse()? })
    }
}
