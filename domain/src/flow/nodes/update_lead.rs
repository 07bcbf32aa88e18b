//! Changes the contact's lead.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::flow::nodes::{Next, NodeKind, Step};
use crate::flow::run::{Action, LeadChange};
use crate::flow::validation::Report;

/// `{"status": "contacted", "fields": {"city": "{{ city }}"}, "addTags": ["vip"], "removeTags": ["cold"]}`
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct UpdateLead {
    /// The new status.
    pub status: Option<String>,
    /// Fields to set: a text is a template, null removes the field.
    pub fields: Map<String, Value>,
    /// Tags to add.
    pub add_tags: Vec<String>,
    /// Tags to remove.
    pub remove_tags: Vec<String>,
}

impl UpdateLead {
    fn change(&self, step: &mut Step<'_>) -> LeadChange {
        let mut tags = |tags: &[String]| -> Vec<String> {
            tags.iter().map(|tag| step.render(tag)).filter(|tag| !tag.is_empty()).collect()
        };
        let (add_tags, remove_tags) = (tags(&self.add_tags), tags(&self.remove_tags));
        let status = self.status.as_deref().map(|text| step.render(text)).filter(|status| !status.is_empty());
        let fields = self.fields.iter().map(|(name, value)| (name.clone(), step.fill(value))).collect();
        LeadChange { status, fields, add_tags, remove_tags }
    }
}

/// The lead as the nodes that follow see it: its fields stand beside its status and tags, and under `fields`.
fn apply(lead: &mut Value, change: &LeadChange) {
    if !lead.is_object() {
        *lead = json!({});
    }
    let Value::Object(lead) = lead else { return };
    if let Some(status) = &change.status {
        lead.insert("status".to_owned(), json!(status));
    }
    set_all(lead, &change.fields);
    if let Some(Value::Object(fields)) = lead.get_mut("fields") {
        set_all(fields, &change.fields);
    }
    let tags = lead.entry("tags").or_insert_with(|| json!([]));
    if let Value::Array(tags) = tags {
        tags.retain(|tag| !change.remove_tags.iter().any(|removed| tag == removed));
        let added: Vec<Value> =
            change.add_tags.iter().map(|tag| json!(tag)).filter(|tag| !tags.contains(tag)).collect();
        tags.extend(added);
    }
}

fn set_all(target: &mut Map<String, Value>, fields: &Map<String, Value>) {
    for (name, value) in fields {
        match value {
            Value::Null => drop(target.remove(name)),
            Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => {
                target.insert(name.clone(), value.clone());
            }
        }
    }
}

impl NodeKind for UpdateLead {
    fn exits(&self) -> Vec<String> {
        vec!["next".to_owned()]
    }

    fn check(&self, report: &mut Report<'_>) {
        report.template("status", self.status.as_deref().unwrap_or_default());
        for (name, value) in &self.fields {
            report.template_value(&format!("fields.{name}"), value);
        }
        for (field, tags) in [("addTags", &self.add_tags), ("removeTags", &self.remove_tags)] {
            for (index, tag) in tags.iter().enumerate() {
                report.template(&format!("{field}[{index}]"), tag);
            }
        }
    }

    fn enter(&self, step: &mut Step<'_>) -> Next {
        let change = self.change(step);
        if change != LeadChange::default() {
            apply(&mut step.scopes_mut().lead, &change);
            step.act(Action::UpdateLead(change));
        }
        Next::exit("next")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::nodes::testing;

    #[test]
    fn the_nodes_that_follow_see_the_change() {
        let node: UpdateLead = testing::node(json!({
            "status": "won", "fields": {"city": "Haifa", "zip": null}, "addTags": ["vip", "old"], "removeTags": ["cold"],
        }));
        let mut run = testing::run();
        run.scopes.lead = json!({"status": "new", "zip": 1, "tags": ["cold", "old"], "fields": {"zip": 1}});
        let env = testing::env();
        let mut step = Step::new(&run, &env);
        node.enter(&mut step);
        let expected = json!({"status": "won", "city": "Haifa", "tags": ["old", "vip"], "fields": {"city": "Haifa"}});
        assert_eq!(step.scopes_mut().lead, expected);
    }

    #[test]
    fn nothing_to_change_is_no_change() {
        let (_, actions, _, _) = testing::outcome(&UpdateLead::default(), &testing::run(), None);
        assert!(actions.is_empty());
    }

    #[test]
    fn it_is_checked() {
        let node: UpdateLead = testing::node(json!({"status": "{{", "fields": {"a": "{{"}, "addTags": ["ok", "{{"]}));
        assert_eq!(testing::wrong_fields(&node), ["status", "fields.a", "addTags[1]"]);
    }
}
