//! What can be asked of a group of templates.

use chrono::{DateTime, Utc};

use crate::shared::ids::TemplateGroupId;
use crate::template_group::Member;
use crate::template_group::pick_strategy::{Candidate, PickStrategy};

/// What is changed of a group; absent parts stay as they are.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct GroupChange {
    /// A name, 1 to 200 characters.
    pub name: Option<String>,
    /// A description, at most 2 000 characters.
    pub description: Option<String>,
    /// How templates are picked.
    pub strategy: Option<PickStrategy>,
    /// All its templates, in their order.
    pub members: Option<Vec<Member>>,
    /// The line it is pinned to; `Some(None)` unpins it.
    pub phone_number_id: Option<Option<String>>,
}

/// A wish about one group.
#[derive(Debug, Clone, PartialEq)]
pub enum TemplateGroupCommand {
    /// Make it.
    Create {
        /// Its id.
        id: TemplateGroupId,
        /// Its first content; the name is required.
        change: GroupChange,
        /// Now.
        at: DateTime<Utc>,
    },
    /// Change it.
    Change {
        /// What.
        change: GroupChange,
        /// Now.
        at: DateTime<Utc>,
    },
    /// Take a template in.
    Join {
        /// Its id.
        id: TemplateGroupId,
        /// What it is called when it has to be made first; without it, it must be there.
        create_as: Option<String>,
        /// The template.
        member: Member,
        /// Now.
        at: DateTime<Utc>,
    },
    /// Pick one of its templates.
    Pick {
        /// What for, such as a message's id.
        subject: String,
        /// How often, one at least.
        count: u32,
        /// What chance decides by.
        seed: u64,
        /// Its templates, and whether each may be sent.
        candidates: Vec<Candidate>,
        /// Now.
        at: DateTime<Utc>,
    },
    /// Bring it to what it once was, back from its deletion if need be.
    Restore {
        /// All of its content.
        change: GroupChange,
        /// Now.
        at: DateTime<Utc>,
    },
    /// Delete it.
    Delete {
        /// Now.
        at: DateTime<Utc>,
    },
}
