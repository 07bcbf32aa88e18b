//! Phone numbers in E.164 (ITU-T E.164: at most 15 digits, written with a leading `+`).

use serde::{Deserialize, Serialize};

/// A phone number in E.164 with its `+`, such as `+972501234567`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Phone(String);

/// The text is no phone number in international form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a phone number in international form (+ and 7 to 15 digits)")]
pub struct InvalidPhone(pub String);

impl Phone {
    /// Reads a number a person or a system wrote; spaces, dashes, dots and brackets are dropped.
    ///
    /// # Errors
    /// No leading `+` or `00`, a letter, or not 7 to 15 digits.
    pub fn parse(text: &str) -> Result<Self, InvalidPhone> {
        let kept: String =
            text.trim().chars().filter(|c| !matches!(c, ' ' | '-' | '.' | '(' | ')' | '\u{a0}')).collect();
        let digits = kept.strip_prefix('+').or_else(|| kept.strip_prefix("00"));
        digits.and_then(Self::from_digits).ok_or_else(|| InvalidPhone(text.to_owned()))
    }

    /// Reads the bare digits WhatsApp calls `wa_id`; a leading `+` is allowed.
    pub fn from_wa_id(text: &str) -> Option<Self> {
        Self::from_digits(text.strip_prefix('+').unwrap_or(text))
    }

    fn from_digits(digits: &str) -> Option<Self> {
        let good =
            (7..=15).contains(&digits.len()) && !digits.starts_with('0') && digits.bytes().all(|b| b.is_ascii_digit());
        good.then(|| Self(format!("+{digits}")))
    }

    /// With the leading `+`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Without the leading `+`.
    pub fn digits(&self) -> &str {
        &self.0[1..]
    }
}

impl std::fmt::Display for Phone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Phone {
    type Error = InvalidPhone;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl From<Phone> for String {
    fn from(phone: Phone) -> Self {
        phone.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_write_becomes_one_form() {
        for text in ["+972501234567", "+972 50-123-4567", "00972501234567", " +972 (50) 123.4567 "] {
            assert_eq!(Phone::parse(text).map(|p| p.to_string()), Ok("+972501234567".into()), "{text}");
        }
        assert_eq!(Phone::from_wa_id("972501234567").map(|p| p.to_string()), Some("+972501234567".into()));
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in ["", "+", "0501234567", "+0501234567", "+12345", "+1234567890123456", "+97250abc4567", "US.1234567"]
        {
            assert!(Phone::parse(text).is_err(), "{text}");
        }
    }
}
