//! What happened to a group of templates.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::decide::event_tags;
use crate::shared::ids::TemplateGroupId;
use crate::template_group::Member;
use crate::template_group::pick_strategy::{Considered, PickStrategy};

/// A fact about a group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", rename_all_fields = "camelCase")]
pub enum TemplateGroupEvent {
    /// It came to be.
    Created {
        group_id: TemplateGroupId,
        name: String,
        description: String,
        strategy: PickStrategy,
        members: Vec<Member>,
        phone_number_id: Option<String>,
        at: DateTime<Utc>,
    },
    /// It is called and described otherwise.
    Renamed { name: String, description: String, at: DateTime<Utc> },
    /// Its templates, or their order, are others.
    MembersChanged { members: Vec<Member>, at: DateTime<Utc> },
    /// A template joined it.
    MemberAdded { member: Member, at: DateTime<Utc> },
    /// Its templates are picked otherwise.
    StrategyChanged { strategy: PickStrategy, at: DateTime<Utc> },
    /// It sends on this line alone; on none in particular when there is none.
    LinePinned { phone_number_id: Option<String>, at: DateTime<Utc> },
    /// One of its templates was picked for `subject`, or none could be: every one that was looked at, in the order
    /// they were looked at, and why it was passed over. `count`: as often as that was done with the same templates, each
    /// time with the turn the one before left and the next seed; what was looked at is told of the first.
    Picked {
        subject: String,
        #[serde(default = "once", skip_serializing_if = "is_once")]
        count: u32,
        strategy: PickStrategy,
        turn: u64,
        seed: u64,
        considered: Vec<Considered>,
        chosen: Option<Member>,
        next_turn: u64,
        at: DateTime<Utc>,
    },
    /// It is not used any more; all of it is kept.
    Deleted { at: DateTime<Utc> },
    /// It is used again.
    Restored { at: DateTime<Utc> },
}

const fn once() -> u32 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
const fn is_once(count: &u32) -> bool {
    *count == 1
}

event_tags!(TemplateGroupEvent {
    Created = "template_group.created",
    Renamed = "template_group.renamed",
    MembersChanged = "template_group.members_changed",
    MemberAdded = "template_group.member_added",
    StrategyChanged = "template_group.strategy_changed",
    LinePinned = "template_group.line_pinned",
    Picked = "template_group.picked",
    Deleted = "template_group.deleted",
    Restored = "template_group.restored",
});
