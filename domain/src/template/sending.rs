//! Whether a template may be sent now, and if not, why.

use serde::{Deserialize, Serialize};

use crate::template::category::Category;
use crate::template::{KnownTemplate, Status, Template};

/// Why a template may not be sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "why", rename_all = "snake_case", rename_all_fields = "camelCase")]
pub enum Unsendable {
    /// The account has no such template.
    Unknown,
    /// Meta does not let it be sent.
    Status { status: Status },
    /// Meta moved it to a category nobody agreed to.
    Category { category: Category },
    /// Somebody took the approval to work with it back.
    WorkNotApproved,
    /// Somebody here lets it rest.
    PausedHere,
    /// Meta refused it for this recipient before, with this code.
    RefusedBefore { code: i64 },
}

impl std::fmt::Display for Unsendable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unknown => f.write_str("there is no such template"),
            Self::Status { status } => write!(f, "its status is {status}"),
            Self::Category { category } => {
                write!(f, "Meta moved it to {category}, which nobody agreed to")
            }
            Self::WorkNotApproved => f.write_str("its work approval was taken back"),
            Self::PausedHere => f.write_str("somebody here paused it"),
            Self::RefusedBefore { code } => write!(f, "it was refused with {code} before"),
        }
    }
}

/// Whether a template may be sent: Meta approved it, its category is one somebody agreed to, nobody took the approval
/// to work with it back, and nobody here lets it rest.
///
/// # Errors
/// The first of these that does not hold.
pub fn sendable(template: &Template) -> Result<&KnownTemplate, Unsendable> {
    let known = template.known().ok_or(Unsendable::Unknown)?;
    if !known.status.may_be_sent() {
        return Err(Unsendable::Status { status: known.status.clone() });
    }
    if let Some(category) = known.category.as_ref().filter(|category| !category.is_cleared(&known.cleared)) {
        return Err(Unsendable::Category { category: category.clone() });
    }
    if !known.is_work_approved {
        return Err(Unsendable::WorkNotApproved);
    }
    if known.own_pause.is_some() {
        return Err(Unsendable::PausedHere);
    }
    Ok(known)
}
