//! What makes Meta file a UTILITY template under MARKETING, and the template without it: a proposal, never sent.

pub mod phrases;

use serde_json::Value;

use crate::flow::validation::Problem;
use crate::template::category::Category;
use crate::template::components::{self, kind};
use crate::template::rewrite::phrases::{clean, promotional, sentences};

api_object! {
    /// Why something reads as marketing.
    #[derive(Eq)]
    Reason {
        /// Where it stands, such as `components[1].text`.
        field: String,
        /// The words.
        text: String,
        /// What is wrong with them.
        why: String,
        /// Whether the proposal is without them; a sentence that holds a placeholder stays and is a person's to write anew.
        changed: bool,
    }
}

/// A proposal.
#[derive(Debug, Clone, PartialEq)]
pub struct Rewrite {
    /// The components as proposed.
    pub components: Value,
    /// Why.
    pub reasons: Vec<Reason>,
    /// What Meta would refuse of the proposal as UTILITY.
    pub problems: Vec<Problem>,
}

/// The components without what reads as marketing.
pub fn as_utility(components: &Value) -> Rewrite {
    let (mut proposed, mut reasons) = (components.clone(), Vec::new());
    for (at, component) in proposed.as_array_mut().into_iter().flatten().enumerate() {
        let field = format!("components[{at}]");
        match kind(component).as_str() {
            "BODY" => {
                if let Some(text) = component["text"].as_str() {
                    component["text"] = Value::from(body(text, &format!("{field}.text"), &mut reasons));
                }
            }
            "HEADER" | "FOOTER" => look(component["text"].as_str(), &format!("{field}.text"), &mut reasons),
            "BUTTONS" => {
                for (n, button) in component["buttons"].as_array().into_iter().flatten().enumerate() {
                    look(button["text"].as_str(), &format!("{field}.buttons[{n}].text"), &mut reasons);
                }
            }
            _ => {}
        }
    }
    let problems = components::problems(&Category::Utility, &proposed);
    Rewrite { components: proposed, reasons, problems }
}

/// The body without promotional sentences, exclamation marks and pictures.
fn body(text: &str, field: &str, reasons: &mut Vec<Reason>) -> String {
    let mut kept = String::with_capacity(text.len());
    for sentence in sentences(text) {
        let found = promotional(sentence);
        let goes = found.is_some() && !sentence.contains("{{");
        if let Some(why) = found {
            let text = sentence.trim().to_owned();
            reasons.push(Reason { field: field.to_owned(), text, why, changed: goes });
        }
        if !goes {
            kept.push_str(sentence);
        }
    }
    let (cleaned, removed) = clean(&kept);
    if !removed.is_empty() {
        let why = "exclamation marks and pictures read as advertising".to_owned();
        reasons.push(Reason { field: field.to_owned(), text: removed, why, changed: true });
    }
    cleaned
}

/// What is told and left as it is.
fn look(text: Option<&str>, field: &str, reasons: &mut Vec<Reason>) {
    let Some(text) = text else { return };
    if let Some(why) = promotional(text) {
        reasons.push(Reason { field: field.to_owned(), text: text.to_owned(), why, changed: false });
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_reads_as_marketing_goes_and_what_holds_a_placeholder_stays() {
        let text =
            "Hi {{1}}, your order {{2}} has left our shop! 🎉 Get 20% off your next one. Questions? Just reply here.";
        let components = json!([
            { "type": "HEADER", "format": "TEXT", "text": "Last chance" },
            { "type": "BODY", "text": text, "example": { "body_text": [["Dana", "42"]] } },
            { "type": "BUTTONS", "buttons": [{ "type": "QUICK_REPLY", "text": "Shop now" }] }
        ]);
        let rewrite = as_utility(&components);
        let expected = "Hi {{1}}, your order {{2}} has left our shop. Questions? Just reply here.";
        assert_eq!(rewrite.components[1]["text"], expected);
        assert_eq!(rewrite.problems, []);
        let told: Vec<(&str, bool)> = rewrite.reasons.iter().map(|it| (it.field.as_str(), it.changed)).collect();
        let places = [
            ("components[0].text", false),
            ("components[1].text", true),
            ("components[1].text", true),
            ("components[2].buttons[0].text", false),
        ];
        assert_eq!(told, places, "{:?}", rewrite.reasons);
        let personal =
            json!([{ "type": "BODY", "text": "Hi, {{1}} is in our sale today.", "example": { "body_text": [["x"]] } }]);
        let rewrite = as_utility(&personal);
        assert_eq!((&rewrite.components, rewrite.reasons[0].changed), (&personal, false));
    }

    #[test]
    fn a_proposal_that_meta_would_refuse_says_so() {
        let rewrite = as_utility(&json!([{ "type": "BODY", "text": "Huge sale today!" }]));
        assert_eq!(rewrite.problems.first().and_then(|it| it.field.as_deref()), Some("components[0].text"));
        let plain = json!([{ "type": "BODY", "text": "Your appointment is tomorrow." }]);
        let rewrite = as_utility(&plain);
        assert_eq!((rewrite.components, rewrite.reasons, rewrite.problems), (plain, vec![], vec![]));
    }
}
