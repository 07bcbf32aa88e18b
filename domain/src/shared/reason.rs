//! Why something is wrong: a stable code, what stands where, and words in English. Who reads it in another language gets
//! the words of that language for the same code, with the same values.

use std::collections::BTreeMap;

/// A reason. Made by [`reason!`](crate::reason).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// In one stable word.
    pub code: &'static str,
    /// In English.
    pub words: String,
    /// What the words name, each under the name of its place.
    pub values: BTreeMap<String, String>,
}

impl Reason {
    /// A reason whose words have `{name}` in the place of each value.
    pub fn new(code: &'static str, words: &str, values: &[(&str, String)]) -> Self {
        let values: BTreeMap<String, String> =
            values.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        Self { code, words: filled(words, &values), values }
    }
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.words)
    }
}

/// A [`Reason`](crate::shared::reason::Reason): `reason!("too_long", "has at most {max} characters", max)`, or `max = 60`.
///
/// Every code has a text in `api/src/language/{he,ar,ru}.rs`; a test reads the sources and names what is missing.
#[macro_export]
macro_rules! reason {
    (@value $name:ident) => { $name.to_string() };
    (@value $name:ident $value:expr) => { ($value).to_string() };
    ($code:literal, $words:literal $(, $name:ident $(= $value:expr)?)* $(,)?) => {
        $crate::shared::reason::Reason::new(
            $code,
            $words,
            &[$((stringify!($name), $crate::reason!(@value $name $($value)?))),*],
        )
    };
}

/// The words with their values in place. Braces around anything else are words.
pub fn filled(words: &str, values: &BTreeMap<String, String>) -> String {
    let mut text = String::with_capacity(words.len());
    let mut rest = words;
    while let Some(open) = rest.find('{') {
        text.push_str(&rest[..open]);
        rest = &rest[open..];
        let place = rest.find('}').map(|close| (&rest[1..close], close + 1));
        match place.and_then(|(name, after)| values.get(name).map(|value| (value, after))) {
            Some((value, after)) => {
                text.push_str(value);
                rest = &rest[after..];
            }
            None => {
                text.push('{');
                rest = &rest[1..];
            }
        }
    }
    text + rest
}

#[cfg(test)]
mod tests {
    #[test]
    fn values_stand_in_their_places_and_other_braces_are_words() {
        let max = 60;
        let reason = reason!("too_long", "has at most {max} characters, not {{1}} of {kind}", max, kind = "a {max}");
        assert_eq!(reason.words, "has at most 60 characters, not {{1}} of a {max}");
        assert_eq!((reason.code, &*reason.values["max"], &*reason.values["kind"]), ("too_long", "60", "a {max}"));
        assert_eq!(reason!("x", "{ {{{name}}} }", name = "a").to_string(), "{ {{a}} }");
        assert_eq!(reason!("x", "open { and {name").to_string(), "open { and {name");
    }
}
