//! Why a group of templates refuses.

/// Characters in a group's name.
pub const NAME_CHARS_MAX: usize = 200;
/// Characters in a group's description.
pub const DESCRIPTION_CHARS_MAX: usize = 2_000;
/// Templates of a group.
pub const MEMBERS_MAX: usize = 100;

/// A rule of groups that a command breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateGroupError {
    /// No such group, or no longer.
    #[error("there is no such template group")]
    NotFound,
    /// Its id is taken.
    #[error("the template group exists already")]
    Exists,
    /// The name is empty or too long.
    #[error("a group's name has 1 to {NAME_CHARS_MAX} characters")]
    Name,
    /// The description is too long.
    #[error("a group's description has at most {DESCRIPTION_CHARS_MAX} characters")]
    Description,
    /// Too many templates.
    #[error("a group has at most {MEMBERS_MAX} templates")]
    TooMany,
    /// The same template twice.
    #[error("`{0}` is in the group twice")]
    Twice(String),
}
