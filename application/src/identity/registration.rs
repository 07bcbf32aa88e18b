//! An account somebody makes for themselves.

use domain::shared::phone::Phone;
use domain::shared::preferences::Language;

use crate::error::{AppError, AppResult, not_an_email};
use crate::identity::users::NewUser;

/// Characters of the part before the `@`, at most (RFC 5321, 4.5.3.1.1).
const LOCAL_PART_MAX: usize = 64;

/// An account to be made, by whoever will own it.
#[derive(Clone, PartialEq, Eq)]
pub struct NewAccount {
    /// Its owner.
    pub user: NewUser,
    /// Their phone, to be verified later.
    pub phone: Option<Phone>,
    /// The language they chose.
    pub language: Option<Language>,
}

impl NewAccount {
    /// # Errors
    /// A field breaks a bound.
    pub fn check(&self) -> AppResult<()> {
        self.user.check()?;
        check_deliverable(&self.user.email)
    }
}

/// Whether mail can be sent there: one `@`, nothing that would need quotes, a domain of labels.
///
/// # Errors
/// It cannot.
pub fn check_deliverable(email: &str) -> AppResult<()> {
    let local = |text: &str| {
        (1..=LOCAL_PART_MAX).contains(&text.len())
            && !text.starts_with('.')
            && !text.ends_with('.')
            && !text.contains("..")
            && text.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"(),:;<>@[\\]".contains(&byte))
    };
    let label = |text: &str| {
        (1..=63).contains(&text.len())
            && !text.starts_with('-')
            && !text.ends_with('-')
            && text.chars().all(|letter| letter.is_alphanumeric() || letter == '-')
    };
    let good = email.len() <= 254
        && email
            .split_once('@')
            .is_some_and(|(before, domain)| local(before) && domain.contains('.') && domain.split('.').all(label));
    if good { Ok(()) } else { Err(AppError::field("email", not_an_email(email))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_mail_can_be_sent_to() {
        for good in ["dana@example.com", "d.a+x@mail.example.co.il", "o'neil@x-y.org", "dana@bücher.example"] {
            assert!(check_deliverable(good).is_ok(), "{good}");
        }
        let long = format!("{}@example.com", "a".repeat(65));
        for bad in [
            "",
            "dana",
            "@example.com",
            "dana@",
            "dana@example",
            "dana@example.",
            "dana@.example",
            "a@b@c.de",
            "a b@c.de",
            "a\r\nTo: x@y.de",
            "\"a\"@c.de",
            "<a@c.de>",
            ".a@c.de",
            "a..b@c.de",
            "a@-c.de",
            "a@c_d.de",
            "a,b@c.de",
            &long,
        ] {
            assert!(check_deliverable(bad).is_err(), "{bad:?}");
        }
    }
}
