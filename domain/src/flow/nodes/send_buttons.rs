//! Asks with buttons; more than three become a list.

use serde::{Deserialize, Serialize};

use crate::flow::engine::Input;
use crate::flow::nodes::choices::{self, FIXED, ROWS_MAX, id_of};
use crate::flow::nodes::{Next, NodeKind, Step};
use crate::flow::run::Action;
use crate::flow::validation::Report;
use crate::shared::content::{Button, ListRow, ListSection, OutboundContent};
use crate::reason;

const BUTTONS_MAX: usize = 3;
const HEADER_MAX: usize = 60;
const BODY_MAX: usize = 1024;
const FOOTER_MAX: usize = 60;
const TITLE_MAX: usize = 20;
const ID_MAX: usize = 200;
/// The word on the button that opens the list which many buttons become.
const LIST_BUTTON: &str = "Options";

/// `{"body": "Shall we go on?", "buttons": [{"id": "yes", "title": "Yes"}, {"id": "no", "title": "No"}],
/// "timeoutSec": 3600, "saveAs": "goOn"}`
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SendButtons {
    /// A line above.
    pub header: Option<String>,
    /// The question.
    pub body: String,
    /// A small line below.
    pub footer: Option<String>,
    /// The answers to pick from.
    pub buttons: Vec<ButtonData>,
    /// How long it waits; as long as the run may when absent or 0.
    pub timeout_sec: Option<u32>,
    /// The variable that takes the chosen title, or what was typed instead.
    pub save_as: Option<String>,
}

/// A button: `{"id": "yes", "title": "Yes"}`.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct ButtonData {
    /// Names its exit; the title when empty.
    pub id: String,
    /// What the customer sees.
    pub title: String,
}

impl SendButtons {
    fn choices(&self) -> Vec<(&str, &str)> {
        self.buttons.iter().map(|button| (id_of(&button.id, &button.title), button.title.as_str())).collect()
    }

    fn content(&self, step: &mut Step<'_>) -> OutboundContent {
        let header = step.render_if_any(self.header.as_deref(), HEADER_MAX);
        let body = step.render_max(&self.body, BODY_MAX);
        let footer = step.render_if_any(self.footer.as_deref(), FOOTER_MAX);
        let shown = self.choices().into_iter().map(|(id, title)| (id.to_owned(), step.render_max(title, TITLE_MAX)));
        if self.buttons.len() <= BUTTONS_MAX {
            let buttons = shown.map(|(id, title)| Button { id, title }).collect();
            return OutboundContent::Buttons { header, body, footer, buttons };
        }
        let rows = shown.map(|(id, title)| ListRow { id, title, description: None }).collect();
        let sections = vec![ListSection { title: None, rows }];
        OutboundContent::List { header, body, footer, button: LIST_BUTTON.to_owned(), sections }
    }
}

impl NodeKind for SendButtons {
    fn exits(&self) -> Vec<String> {
        choices::exits(self.choices().into_iter().map(|(id, _)| id))
    }

    fn check(&self, report: &mut Report<'_>) {
        report.shown_if_any("header", self.header.as_deref(), HEADER_MAX);
        report.shown("body", &self.body, BODY_MAX);
        report.shown_if_any("footer", self.footer.as_deref(), FOOTER_MAX);
        if self.buttons.is_empty() {
            report.problem("buttons", reason!("empty", "must not be empty"));
        }
        if self.buttons.len() > ROWS_MAX {
            report.problem("buttons", reason!("too_many", "must not be more than {max}", max = ROWS_MAX));
        }
        for (index, button) in self.buttons.iter().enumerate() {
            report.shown(&format!("buttons[{index}].title"), &button.title, TITLE_MAX);
            report.text_len(&format!("buttons[{index}].id"), &button.id, ID_MAX);
        }
        let ids: Vec<&str> = self.choices().into_iter().map(|(id, _)| id).collect();
        report.exit_ids("buttons", &ids, &FIXED);
    }

    fn waits(&self) -> bool {
        true
    }

    fn enter(&self, step: &mut Step<'_>) -> Next {
        let content = self.content(step);
        step.act(Action::Send(content));
        step.await_reply(self.timeout_sec, 0)
    }

    fn resume(&self, step: &mut Step<'_>, input: &Input<'_>) -> Next {
        choices::resume(step, input, &self.choices(), self.save_as.as_deref())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::flow::nodes::testing;

    #[test]
    fn more_than_three_buttons_become_a_list() {
        let buttons: Vec<_> = (1..=4).map(|n| json!({"title": format!("Option {n}")})).collect();
        let node: SendButtons = testing::node(json!({"body": "Which?", "buttons": buttons}));
        assert_eq!(node.exits(), ["Option 1", "Option 2", "Option 3", "Option 4", "other", "timeout"]);
        let (_, actions, _, _) = testing::outcome(&node, &testing::run(), None);
        assert!(
            matches!(&actions[..], [Action::Send(OutboundContent::List { sections, .. })] if sections[0].rows.len() == 4)
        );
    }

    #[test]
    fn it_is_checked() {
        let node: SendButtons = testing::node(json!({"buttons": [
            {"id": "a", "title": "Far too long a title"}, {"id": "a", "title": "A title of 21 letters"}, {"id": "other", "title": "{{"},
        ]}));
        let wrong = testing::wrong_fields(&node);
        assert_eq!(wrong, ["body", "buttons[1].title", "buttons[2].title", "buttons[1].id", "buttons[2].id"]);
        let eleven: Vec<_> = (0..11).map(|n| json!({"title": n.to_string()})).collect();
        assert_eq!(
            testing::wrong_fields(&testing::node::<SendButtons>(json!({"body": "b", "buttons": eleven}))),
            ["buttons"]
        );
    }
}
