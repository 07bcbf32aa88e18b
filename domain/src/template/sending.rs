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
    /// Meta refused it for this message before, with this code.
    RefusedBefore { code: i64 },
    /// It is advertising, and the sender did not allow that.
    Marketing,
    /// Meta refuses to send it to anybody, with this code.
    SendRefused { code: i64 },
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
            Self::Marketing => f.write_str("it is marketing, which was not allowed (allowMarketing)"),
            Self::SendRefused { code } => write!(f, "Meta refuses to send it, with {code}"),
        }
    }
}

/// Whether a template may be sent: Meta approved it, its category is one somebody agreed to, nobody took the approval
/// to work with it back, nobody here lets it rest, and Meta did not refuse to send it since.
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
    if let Some(error) = &known.send_refusal {
        return Err(Unsendable::SendRefused { code: error.code });
    }
    Ok(known)
}

/// Whether a refusal of class D holds for everybody: the template is absent, against a policy, paused, disabled, or may
/// not be sent this way. The others (132000, 132005, 132012, 132018) are about one message's parameters (Meta,
/// support/error-codes).
pub const fn stops_template(code: i64) -> bool {
    matches!(code, 132_001 | 132_007 | 132_015 | 132_016 | 131_063 | 131_055 | 134_100 | 134_102)
}
