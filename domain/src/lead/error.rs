//! Why a lead refuses.

/// A rule of leads that a command breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LeadError {
    /// No such lead.
    #[error("there is no such lead")]
    NotFound,
    /// The contact it was told of was erased; who is behind the phone now is another contact.
    #[error("the contact was erased")]
    ContactErased,
    /// A status is a word.
    #[error("a lead's status is 1 to 40 of a-z, 0-9, `_` and `-`")]
    Status,
    /// The name is too long.
    #[error("a lead's name has at most 200 characters")]
    Name,
    /// The e-mail address cannot be one.
    #[error("`{0}` is not an e-mail address")]
    Email(String),
    /// Too many or too long fields.
    #[error("a lead has at most 100 fields of at most 640 characters each")]
    Fields,
    /// Too many or too long tags.
    #[error("a lead has at most 50 tags of 1 to 60 characters each")]
    Tags,
}
