//! What of an event is about a person, and what is left of it when the person is forgotten.

use cqrs_es::Aggregate;

use crate::shared::ids::ContactId;

/// An aggregate whose events may be about a contact. Whatever an event says of the person is stored sealed with the
/// contact's key; what [`Personal::without_person`] leaves is stored in clear, and is all there is once the key is gone.
pub trait Personal: Aggregate {
    /// The contact it is about; `None` for what is about nobody, or has not begun.
    fn contact(&self) -> Option<ContactId>;

    /// The event without the person; `None` when nothing in it is personal. What rules and counters need stays.
    fn without_person(event: &Self::Event) -> Option<Self::Event>;
}
