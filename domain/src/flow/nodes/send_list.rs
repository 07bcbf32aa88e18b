//! Asks with a list of up to ten rows.

use serde::{Deserialize, Serialize};

use crate::flow::engine::Input;
use crate::flow::nodes::choices::{self, FIXED, ROWS_MAX, id_of};
use crate::flow::nodes::{Next, NodeKind, Step};
use crate::flow::run::Action;
use crate::flow::validation::Report;
use crate::shared::content::{ListRow, ListSection, OutboundContent};
use crate::reason;

const HEADER_MAX: usize = 60;
const BODY_MAX: usize = 4096;
const FOOTER_MAX: usize = 60;
const BUTTON_MAX: usize = 20;
const TITLE_MAX: usize = 24;
const DESCRIPTION_MAX: usize = 72;
const ID_MAX: usize = 200;

/// `{"body": "Which service?", "button": "Services", "sections": [{"title": "Hair", "rows": [{"id": "cut",
/// "title": "Cut", "description": "30 minutes"}]}], "timeoutSec": 3600, "saveAs": "service"}`
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SendList {
    /// A line above.
    pub header: Option<String>,
    /// The question.
    pub body: String,
    /// A small line below.
    pub footer: Option<String>,
    /// The word on the button that opens the list.
    pub button: String,
    /// The sections.
    pub sections: Vec<SectionData>,
    /// How long it waits; as long as the run may when absent or 0.
    pub timeout_sec: Option<u32>,
    /// The variable that takes the chosen title, or what was typed instead.
    pub save_as: Option<String>,
}

/// A section: `{"title": "Hair", "rows": […]}`.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct SectionData {
    /// Needed when there are several.
    pub title: Option<String>,
    /// Its rows.
    pub rows: Vec<RowData>,
}

/// A row: `{"id": "cut", "title": "Cut", "description": "30 minutes"}`.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct RowData {
    /// Names its exit; the title when empty.
    pub id: String,
    /// What the customer sees.
    pub title: String,
    /// A second line.
    pub description: Option<String>,
}

impl SendList {
    fn choices(&self) -> Vec<(&str, &str)> {
        let rows = self.sections.iter().flat_map(|section| &section.rows);
        rows.map(|row| (id_of(&row.id, &row.title), row.title.as_str())).collect()
    }

    fn check_section(&self, index: usize, section: &SectionData, report: &mut Report<'_>) {
        let field = format!("sections[{index}]");
        report.shown_if_any(&format!("{field}.title"), section.title.as_deref(), TITLE_MAX);
        if self.sections.len() > 1 {
            report.required(&format!("{field}.title"), section.title.as_deref().unwrap_or_default());
        }
        if section.rows.is_empty() {
            report.problem(&format!("{field}.rows"), reason!("empty", "must not be empty"));
        }
        for (index, row) in section.rows.iter().enumerate() {
            let field = format!("{field}.rows[{index}]");
            report.shown(&format!("{field}.title"), &row.title, TITLE_MAX);
            report.shown_if_any(&format!("{field}.description"), row.description.as_deref(), DESCRIPTION_MAX);
            report.text_len(&format!("{field}.id"), &row.id, ID_MAX);
        }
    }
}

impl SectionData {
    fn content(&self, step: &mut Step<'_>) -> ListSection {
        let title = step.render_if_any(self.title.as_deref(), TITLE_MAX);
        let row = |row: &RowData| ListRow {
            id: id_of(&row.id, &row.title).to_owned(),
            title: step.render_max(&row.title, TITLE_MAX),
            description: step.render_if_any(row.description.as_deref(), DESCRIPTION_MAX),
        };
        ListSection { title, rows: self.rows.iter().map(row).collect() }
    }
}

impl NodeKind for SendList {
    fn exits(&self) -> Vec<String> {
        choices::exits(self.choices().into_iter().map(|(id, _)| id))
    }

    fn check(&self, report: &mut Report<'_>) {
        report.shown_if_any("header", self.header.as_deref(), HEADER_MAX);
        report.shown("body", &self.body, BODY_MAX);
        report.shown_if_any("footer", self.footer.as_deref(), FOOTER_MAX);
        report.shown("button", &self.button, BUTTON_MAX);
        if self.sections.is_empty() {
            report.problem("sections", reason!("empty", "must not be empty"));
        }
        for (index, section) in self.sections.iter().enumerate() {
            self.check_section(index, section, report);
        }
        let ids: Vec<&str> = self.choices().into_iter().map(|(id, _)| id).collect();
        if ids.len() > ROWS_MAX {
            report.problem("sections", reason!("too_many_rows", "must not have more than {max} rows in total", max = ROWS_MAX));
        }
        report.exit_ids("rows", &ids, &FIXED);
    }

    fn waits(&self) -> bool {
        true
    }

    fn enter(&self, step: &mut Step<'_>) -> Next {
        let header = step.render_if_any(self.header.as_deref(), HEADER_MAX);
        let body = step.render_max(&self.body, BODY_MAX);
        let footer = step.render_if_any(self.footer.as_deref(), FOOTER_MAX);
        let button = step.render_max(&self.button, BUTTON_MAX);
        let sections = self.sections.iter().map(|section| section.content(step)).collect();
        step.act(Action::Send(OutboundContent::List { header, body, footer, button, sections }));
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

    fn wrong(sections: serde_json::Value) -> Vec<String> {
        testing::wrong_fields(&testing::node::<SendList>(json!({"body": "b", "button": "o", "sections": sections})))
    }

    #[test]
    fn it_is_checked() {
        let rows = |from: usize, to: usize| (from..to).map(|n| json!({"title": n.to_string()})).collect::<Vec<_>>();
        assert!(wrong(json!([{"rows": rows(0, 10)}])).is_empty());
        assert_eq!(
            wrong(json!([{"title": "a", "rows": rows(0, 6)}, {"title": "b", "rows": rows(6, 11)}])),
            ["sections"]
        );
        assert_eq!(
            wrong(json!([{"rows": rows(0, 1)}, {"title": "b", "rows": rows(0, 1)}])),
            ["sections[0].title", "rows[1].id"]
        );
        assert_eq!(wrong(json!([])), ["sections"]);
    }
}
