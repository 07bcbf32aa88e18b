//! A value that does not show itself.

use std::fmt;

use super::Variable;

/// A secret: printing it for debugging shows that it is there, not what it is.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret<T>(T);

impl<T> Secret<T> {
    /// The value, for the one place that needs it.
    pub fn expose(&self) -> &T {
        &self.0
    }
}

impl<T> From<T> for Secret<T> {
    fn from(value: T) -> Self {
        Self(value)
    }
}

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Options as clap hands them over: absent, empty (which counts as absent) or a text.
pub(super) trait Given {
    /// The option under the name of its variable.
    fn variable(&self, name: &'static str) -> Variable<'_>;
}

impl Given for Option<String> {
    fn variable(&self, name: &'static str) -> Variable<'_> {
        Variable::new(name, self.as_deref())
    }
}

impl Given for Option<Secret<String>> {
    fn variable(&self, name: &'static str) -> Variable<'_> {
        Variable::new(name, self.as_ref().map(|it| it.0.as_str()))
    }
}

/// A secret text that is not empty.
pub(super) trait GivenSecret {
    /// The secret, if there is one.
    fn given(&self) -> Option<Secret<String>>;
}

impl GivenSecret for Option<Secret<String>> {
    fn given(&self) -> Option<Secret<String>> {
        self.clone().filter(|it| !it.0.is_empty())
    }
}
