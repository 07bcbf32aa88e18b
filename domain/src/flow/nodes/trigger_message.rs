//! Starts a run when a customer writes.

use serde::{Deserialize, Serialize};

use crate::flow::nodes::{Next, NodeKind, Step, Trigger};
use crate::flow::pattern;
use crate::flow::validation::Report;
use crate::shared::channel::Channel;

string_enum! {
    /// How a keyword is looked for. Upper and lower case are the same.
    KeywordMatch {
        /// As a word, or several in a row.
        AnyWord = "any_word",
        /// As the whole message.
        Exact = "exact",
        Contains = "contains", StartsWith = "starts_with", Regex = "regex",
    }
}

/// `{"keywords": ["price", "hours"], "match": "any_word", "channels": ["whatsapp"], "priority": 10}`
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TriggerMessage {
    /// Any of these starts the flow; none at all makes it a catch-all.
    pub keywords: Vec<String>,
    /// How a keyword is looked for.
    #[serde(rename = "match")]
    pub matching: KeywordMatch,
    /// Where; everywhere when empty.
    pub channels: Vec<Channel>,
    /// The higher one wins among several that match.
    pub priority: i64,
    /// Whether a keyword takes the place of a run that waits; a catch-all never does.
    pub beats_waiting_run: bool,
}

impl Default for TriggerMessage {
    fn default() -> Self {
        Self {
            keywords: Vec::new(),
            matching: KeywordMatch::AnyWord,
            channels: Vec::new(),
            priority: 0,
            beats_waiting_run: true,
        }
    }
}

impl TriggerMessage {
    /// Whether it asks for keywords; otherwise it is a catch-all.
    pub fn is_keyword(&self) -> bool {
        !self.keywords.is_empty()
    }

    /// Whether a message starts the flow. A catch-all also takes messages without text.
    pub fn matches(&self, text: Option<&str>, channel: Channel) -> bool {
        let here = self.channels.is_empty() || self.channels.contains(&channel);
        let found = |text| self.keywords.iter().any(|keyword| self.finds(keyword, text));
        here && (!self.is_keyword() || text.is_some_and(found))
    }

    fn finds(&self, keyword: &str, text: &str) -> bool {
        let (word, message) = (keyword.trim().to_lowercase(), text.trim().to_lowercase());
        match self.matching {
            KeywordMatch::AnyWord => has_words(&message, &word),
            KeywordMatch::Exact => message == word,
            KeywordMatch::Contains => message.contains(&word),
            KeywordMatch::StartsWith => message.starts_with(&word),
            KeywordMatch::Regex => pattern::found(keyword, text),
        }
    }
}

/// Whether the words of `phrase` stand in `message` in a row. A phrase without letters (an emoji) is looked
/// for as it is.
fn has_words(message: &str, phrase: &str) -> bool {
    let words = spaced(phrase);
    if words.trim().is_empty() { message.contains(phrase) } else { spaced(message).contains(&words) }
}

/// ` one two ` for `one, two!`.
fn spaced(text: &str) -> String {
    let words: Vec<&str> = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    format!(" {} ", words.join(" "))
}

impl NodeKind for TriggerMessage {
    fn exits(&self) -> Vec<String> {
        vec!["next".to_owned()]
    }

    fn check(&self, report: &mut Report<'_>) {
        for (index, keyword) in self.keywords.iter().enumerate() {
            let field = format!("keywords[{index}]");
            report.required(&field, keyword);
            if self.matching == KeywordMatch::Regex {
                report.pattern(&field, keyword);
            }
        }
    }

    fn is_trigger(&self) -> bool {
        true
    }

    fn trigger(&self) -> Option<Trigger<'_>> {
        Some(Trigger::Message(self))
    }

    fn enter(&self, _step: &mut Step<'_>) -> Next {
        Next::exit("next")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::flow::nodes::testing;

    fn finds(matching: &str, keyword: &str, text: &str) -> bool {
        let trigger: TriggerMessage = testing::node(json!({"keywords": ["zzz", keyword], "match": matching}));
        trigger.matches(Some(text), Channel::Whatsapp)
    }

    #[test]
    fn a_keyword_is_found_as_its_author_says() {
        for (matching, keyword, text) in [
            ("any_word", "price", "What is the PRICE?"),
            ("any_word", "price list", "a price-list please"),
            ("any_word", "מחיר", "מה מחיר?"),
            ("any_word", "👍", "ok👍"),
            ("exact", "hi", " Hi "),
            ("contains", "rice", "prices"),
            ("starts_with", "order", "Order 12"),
            ("regex", "^order \\d+$", "ORDER 12"),
        ] {
            assert!(finds(matching, keyword, text), "{matching} {keyword}");
        }
        for (matching, keyword, text) in [
            ("any_word", "rice", "prices"),
            ("any_word", "מחיר", "המחירון"),
            ("exact", "hi", "hi there"),
            ("starts_with", "order", "my order"),
            ("regex", "(", "("),
        ] {
            assert!(!finds(matching, keyword, text), "{matching} {keyword}");
        }
    }

    #[test]
    fn without_keywords_it_catches_all() {
        let trigger: TriggerMessage = testing::node(json!({}));
        assert!(!trigger.is_keyword());
        assert!(trigger.matches(None, Channel::Whatsapp));
        let keyword: TriggerMessage = testing::node(json!({"keywords": ["a"]}));
        assert!(keyword.is_keyword() && !keyword.matches(None, Channel::Whatsapp));
    }

    #[test]
    fn a_bad_expression_is_refused() {
        let trigger: TriggerMessage = testing::node(json!({"keywords": ["ok", "(", " "], "match": "regex"}));
        assert_eq!(testing::wrong_fields(&trigger), ["keywords[1]", "keywords[2]"]);
    }
}
