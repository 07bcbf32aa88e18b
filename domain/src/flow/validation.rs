//! What is wrong with a flow: every problem at once, each with the node and the field it stands in.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::flow::{pattern, template};
use crate::reason;
use crate::shared::reason::{Reason, filled};

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
        /// What is wrong, in words.
        reason: String,
        /// The same in one stable word. Empty for what was stored before there were such words.
        #[serde(default)]
        code: String,
        /// What the words name: limits, ids, what was found.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        values: Option<BTreeMap<String, String>>,
    }
}

impl Problem {
    /// A problem of the flow as a whole.
    pub fn of_flow(reason: Reason) -> Self {
        Self::new(None, None, reason)
    }

    /// A problem of one node.
    pub fn of_node(node: &str, reason: Reason) -> Self {
        Self::new(Some(node.to_owned()), None, reason)
    }

    /// A problem of one field.
    pub fn of_field(field: impl Into<String>, reason: Reason) -> Self {
        Self::new(None, Some(field.into()), reason)
    }

    /// A problem of one field of a node's data.
    pub fn of_node_field(node: &str, field: &str, reason: Reason) -> Self {
        Self::new(Some(node.to_owned()), Some(field.to_owned()), reason)
    }

    fn new(node_id: Option<String>, field: Option<String>, reason: Reason) -> Self {
        let Reason { code, words, values } = reason;
        Self { node_id, field, reason: words, code: code.to_owned(), values: Some(values).filter(|it| !it.is_empty()) }
    }

    /// The same problem, told of another field.
    #[must_use]
    pub fn in_field(self, field: impl Into<String>) -> Self {
        Self { field: Some(field.into()), ..self }
    }

    /// The same problem in other words, which have `{name}` in the place of each value.
    #[must_use]
    pub fn in_words(mut self, words: &str) -> Self {
        self.reason = filled(words, self.values.as_ref().unwrap_or(&BTreeMap::new()));
        self
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
    pub fn problem(&mut self, field: &str, reason: Reason) {
        self.problems.push(Problem::of_node_field(self.node, field, reason));
    }

    /// The flow runs, but perhaps not as its author means.
    pub fn warn(&mut self, field: &str, reason: Reason) {
        self.warnings.push(Problem::of_node_field(self.node, field, reason));
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
            self.problem(field, reason!("empty", "must not be empty"));
        }
    }

    /// The text may have at most `max` characters. The length of a template is known only when it is rendered.
    pub fn text_len(&mut self, field: &str, text: &str, max: usize) {
        if !template::is_template(text) && text.chars().count() > max {
            self.problem(field, reason!("too_long", "has at most {max} characters", max));
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
        if let Err(error) = pattern::compile(text) {
            self.problem(field, reason!("pattern_invalid", "is not a regular expression: {error}", error));
        }
    }

    /// Ids that name exits: there, different from each other and from the fixed exits.
    pub fn exit_ids(&mut self, field: &str, ids: &[&str], fixed: &[&str]) {
        for (index, id) in ids.iter().enumerate() {
            let field = format!("{field}[{index}].id");
            self.required(&field, id);
            if fixed.contains(id) {
                self.problem(&field, reason!("exit_fixed", "`{id}` is the name of a fixed exit", id));
            }
            if ids[..index].contains(id) {
                self.problem(&field, reason!("used_twice", "`{id}` is used twice", id));
            }
        }
    }
}
