//! A group of templates that say the same: which one is sent, and what comes next when it cannot be.

pub mod command;
pub mod decide;
pub mod error;
pub mod event;
pub mod pick_strategy;

use serde::{Deserialize, Serialize};

use crate::decide::aggregate;
use crate::shared::ids::{ContactId, TemplateGroupId, TenantId};
use crate::template_group::command::TemplateGroupCommand;
use crate::template_group::error::TemplateGroupError;
use crate::template_group::event::TemplateGroupEvent;
use crate::template_group::pick_strategy::PickStrategy;

api_object! {
    /// A template of a group, by what names it on any WhatsApp Business Account.
    #[derive(Eq, Hash)]
    Member {
        /// The template's name.
        name: String,
        /// Its language, such as `he` or `en_US`.
        language: String,
    }
}

/// What is known of a group that exists.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OpenGroup {
    /// Its id.
    pub id: TemplateGroupId,
    /// What people call it.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// How one of its templates is picked.
    pub strategy: PickStrategy,
    /// Its templates, in their order.
    pub members: Vec<Member>,
    /// The line it sends on, when it is pinned to one.
    pub phone_number_id: Option<String>,
    /// Whose turn it is, when they take turns.
    pub turn: u64,
}

/// A group's life.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub enum TemplateGroup {
    /// Not made yet.
    #[default]
    Absent,
    /// It exists.
    Open(Box<OpenGroup>),
    /// It was deleted; all of it is kept.
    Deleted(Box<OpenGroup>),
}

aggregate!(TemplateGroup, "template_group", TemplateGroupCommand, TemplateGroupEvent, TemplateGroupError);

/// A group is about nobody.
impl crate::personal::Personal for TemplateGroup {
    fn contact(&self) -> Option<ContactId> {
        None
    }

    fn without_person(_: &TemplateGroupEvent) -> Option<TemplateGroupEvent> {
        None
    }
}

impl TemplateGroup {
    /// The id of the group that is made for a name: the same name leads to the same group.
    pub fn id_for(tenant: TenantId, name: &str) -> TemplateGroupId {
        TemplateGroupId::derive(tenant.0, &format!("template_group:{name}"))
    }

    /// The group, if it exists.
    pub fn open(&self) -> Option<&OpenGroup> {
        match self {
            Self::Open(group) => Some(group),
            Self::Absent | Self::Deleted(_) => None,
        }
    }

    /// What is kept of the group, be it deleted.
    pub fn content(&self) -> Option<&OpenGroup> {
        match self {
            Self::Open(group) | Self::Deleted(group) => Some(group),
            Self::Absent => None,
        }
    }

    pub(crate) fn apply_event(&mut self, event: TemplateGroupEvent) {
        match (std::mem::take(self), event) {
            (
                _,
                TemplateGroupEvent::Created { group_id, name, description, strategy, members, phone_number_id, .. },
            ) => {
                *self = Self::Open(Box::new(OpenGroup {
                    id: group_id,
                    name,
                    description,
                    strategy,
                    members,
                    phone_number_id,
                    turn: 0,
                }));
            }
            (Self::Open(group), TemplateGroupEvent::Deleted { .. }) => *self = Self::Deleted(group),
            (Self::Deleted(group), TemplateGroupEvent::Restored { .. }) => *self = Self::Open(group),
            (Self::Open(mut group), event) => {
                group.apply(event);
                *self = Self::Open(group);
            }
            (other, _) => *self = other,
        }
    }
}

impl OpenGroup {
    fn apply(&mut self, event: TemplateGroupEvent) {
        match event {
            TemplateGroupEvent::Created { .. }
            | TemplateGroupEvent::Deleted { .. }
            | TemplateGroupEvent::Restored { .. } => {}
            TemplateGroupEvent::Renamed { name, description, .. } => {
                (self.name, self.description) = (name, description);
            }
            TemplateGroupEvent::MembersChanged { members, .. } => self.members = members,
            TemplateGroupEvent::MemberAdded { member, .. } => self.members.push(member),
            TemplateGroupEvent::StrategyChanged { strategy, .. } => self.strategy = strategy,
            TemplateGroupEvent::LinePinned { phone_number_id, .. } => self.phone_number_id = phone_number_id,
            TemplateGroupEvent::Picked { next_turn, .. } => self.turn = next_turn,
        }
    }
}
