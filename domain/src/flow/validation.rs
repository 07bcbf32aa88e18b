//! What is wrong with a flow: every problem at once, each with the node and the field it stands in.

use serde_json::Value;

use crate::flow::{pattern, template};

api_object! {
    /// One thing that is wrong with a flow.
    #[derive(Eq)]
    Problem {
        /// The node, when it concerns one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        node_id: Option<String>,
        /// The field of its data, when it concerns one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        field: Option<String>,
        /// What is wrong.
        reason: String,
    }
}

impl Problem {
    /// A problem of the flow as a whole.
    pub fn of_flow(reason: impl Into<String>) -> Self {
        Self { node_id: None, field: None, reason: reason.into() }
    }

    /// A problem of one node.
    pub fn of_node(node: &str, reason: impl Into<String>) -> Self {
        Self { node_id: Some(node.to_owned()), field: None, reason: reason.into() }
    }

    /// A problem of one field.
    pub fn of_field(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { node_id: None, field: Some(field.into()), reason: reason.into() }
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(node) = &self.node_id {
            write!(f, "node {node}: ")?;
        }
        if let Some(field) = &self.field {
            write!(f, "{field}: ")?;
        }
        f.write_str(&self.reason)
    }
}

/// Collects what is wrong with one node's data.
#[derive(Debug)]
pub struct Report<'a> {
    node: &'a str,
    problems: Vec<Problem>,
    warnings: Vec<Problem>,
}

impl<'a> Report<'a> {
    /// An empty report on one node.
    pub fn new(node: &'a str) -> Self {
        Self { node, problems: Vec::new(), warnings: Vec::new() }
    }

    /// The problems, then the warnings.
    pub fn into_parts(self) -> (Vec<Problem>, Vec<Problem>) {
        (self.problems, self.warnings)
    }

    /// The flow is refused because of this.
    pub fn problem(&mut self, field: &str, reason: impl Into<String>) {
        self.problems.push(Self::note(self.node, field, reason));
    }

    /// The flow runs, but perhaps not as its author means.
    pub fn warn(&mut self, field: &str, reason: impl Into<String>) {
        self.warnings.push(Self::note(self.node, field, reason));
    }

    /// The text must parse as a template.
    pub fn template(&mut self, field: &str, text: &str) {
        if let Err(reason) = template::check(text) {
            self.problem(field, reason);
        }
    }

    /// Every text in the value must parse as a template.
    pub fn template_value(&mut self, field: &str, value: &Value) {
        match value {
            Value::String(text) => self.template(field, text),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {}
        }
    }

    /// The text must be there.
    pub fn required(&mut self, field: &str, text: &str) {
        if text.trim().is_empty() {
            self.problem(field, "must not be empty");
        }
    }

    /// The text may have at most `max` characters. The length of a template is known only when it is rendered.
    pub fn text_len(&mut self, field: &str, text: &str, max: usize) {
        if !template::is_template(text) && text.chars().count() > max {
            self.problem(field, format!("must not be longer than {max} characters"));
        }
    }

    /// A text the customer reads: there, a template, and at most `max` characters.
    pub fn shown(&mut self, field: &str, text: &str, max: usize) {
        self.required(field, text);
        self.template(field, text);
        self.text_len(field, text, max);
    }

    /// The same for a text that may be left out.
    pub fn shown_if_any(&mut self, field: &str, text: Option<&str>, max: usize) {
        if let Some(text) = text {
            self.template(field, text);
            self.text_len(field, text, max);
        }
    }

    /// The text must compile as a regular expression.
    pub fn pattern(&mut self, field: &str, text: &str) {
        if let Err(reason) = pattern::compile(text) {
            self.problem(field, format!("is not a regular expression: {reason}"));
        }
    }

    /// Ids that name exits: there, different from each other and from the fixed exits.
    pub fn exit_ids(&mut self, field: &str, ids: &[&str], fixed: &[&str]) {
        for (index, id) in ids.iter().enumerate() {
            let field = format!("{field}[{index}].id");
            self.required(&field, id);
            if fixed.contains(id) {
                self.problem(&field, format!("`{id}` is the name of a fixed exit"));
            }
            if ids[..index].contains(id) {
                self.problem(&field, format!("`{id}` is used twice"));
            }
        }
    }

    fn note(node: &str, field: &str, reason: impl Into<String>) -> Problem {
        Problem { node_id: Some(node.to_owned()), field: Some(field.to_owned()), reason: reason.into() }
    }
}
