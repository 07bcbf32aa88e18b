//! Contacts: who is behind an address, and forgetting them.

pub mod erasure;

use domain::appointment::error::AppointmentError;
use domain::conversation::error::ConversationError;
use domain::lead::error::LeadError;
use domain::shared::channel::{Address, Channel};
use domain::shared::ids::{ContactId, TenantId};

use crate::commands::CommandError;
use crate::conversations::ports::Contacts;
use crate::error::AppResult;

/// Who is behind an address now, when the contact this node knew was erased through another.
///
/// # Errors
/// It cannot be read.
pub async fn anew(
    contacts: &dyn Contacts,
    tenant: TenantId,
    channel: Channel,
    address: &Address,
) -> AppResult<ContactId> {
    contacts.forget(tenant, channel, address);
    contacts.resolve(tenant, channel, address).await
}

/// A rule's refusal that may mean that the contact was erased.
pub trait ErasedContact {
    /// Whether it means that.
    fn is_contact_erased(&self) -> bool;
}

impl ErasedContact for ConversationError {
    fn is_contact_erased(&self) -> bool {
        *self == Self::ContactErased
    }
}

impl ErasedContact for LeadError {
    fn is_contact_erased(&self) -> bool {
        *self == Self::ContactErased
    }
}

impl ErasedContact for AppointmentError {
    fn is_contact_erased(&self) -> bool {
        *self == Self::ContactErased
    }
}

/// Whether a command was refused because its contact was erased.
pub fn is_erased<E: ErasedContact + std::error::Error>(error: &CommandError<E>) -> bool {
    match error {
        CommandError::ContactErased => true,
        CommandError::Rule(rule) => rule.is_contact_erased(),
        CommandError::AlreadyDone
        | CommandError::LeaseLost
        | CommandError::Occupied
        | CommandError::Contended
        | CommandError::Unavailable
        | CommandError::Internal(_) => false,
    }
}
