//! Sends a text.

use serde::{Deserialize, Serialize};

use crate::flow::nodes::{Next, NodeKind, Step};
use crate::flow::run::Action;
use crate::flow::validation::Report;
use crate::shared::content::OutboundContent;

/// Characters WhatsApp takes in a text message.
pub const TEXT_MAX: usize = 4096;

/// `{"text": "Hello {{ contact.name }}", "previewUrl": false}`
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SendText {
    /// The text.
    pub text: String,
    /// Whether links are previewed.
    pub preview_url: bool,
}

impl NodeKind for SendText {
    fn exits(&self) -> Vec<String> {
        vec!["next".to_owned()]
    }

    fn check(&self, report: &mut Report<'_>) {
        report.shown("text", &self.text, TEXT_MAX);
    }

    fn enter(&self, step: &mut Step<'_>) -> Next {
        say(step, &self.text, self.preview_url);
        Next::exit("next")
    }
}

/// Sends a text; one that renders empty cannot be sent and is left out with a warning.
pub fn say(step: &mut Step<'_>, text: &str, preview_url: bool) {
    let text = step.render_max(text, TEXT_MAX);
    if text.trim().is_empty() {
        step.warn("an empty text was not sent");
    } else {
        step.act(Action::Send(OutboundContent::Text { text, preview_url }));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::flow::nodes::testing;

    #[test]
    fn a_text_that_renders_empty_is_not_sent() {
        let node: SendText = testing::node(json!({"text": "{{ nothing }}"}));
        let (next, actions, _, warnings) = testing::outcome(&node, &testing::run(), None);
        assert_eq!((next, actions), (Next::exit("next"), vec![]));
        assert_eq!(warnings, ["variable `nothing` is missing", "an empty text was not sent"]);
    }

    #[test]
    fn a_text_that_renders_long_is_cut() {
        let node: SendText = testing::node(json!({"text": "{{ long }}"}));
        let mut run = testing::run();
        run.variables.insert("long".into(), json!("ש".repeat(5000)));
        let (_, actions, _, warnings) = testing::outcome(&node, &run, None);
        let text = "ש".repeat(TEXT_MAX);
        assert_eq!(actions, [Action::Send(OutboundContent::Text { text, preview_url: false })]);
        assert_eq!(warnings.len(), 1);
    }

    #[test]
    fn its_text_is_checked() {
        for text in ["", "{{ a", &"a".repeat(TEXT_MAX + 1)] {
            let node: SendText = testing::node(json!({"text": text}));
            assert_eq!(testing::wrong_fields(&node), ["text"]);
        }
    }
}
