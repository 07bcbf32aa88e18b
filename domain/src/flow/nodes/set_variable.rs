//! Sets variables of the run.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::flow::nodes::{Next, NodeKind, Step};
use crate::flow::template::SCOPE_NAMES;
use crate::flow::validation::Report;
use crate::reason;

/// `{"assignments": [{"name": "total", "value": "{{ order.total }}"}, {"name": "step", "value": 2}]}`
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct SetVariable {
    /// Done in order; a later one sees what an earlier one set.
    pub assignments: Vec<Assignment>,
}

/// One variable and its new value.
#[derive(Debug, Clone, Deserialize, Serialize)]
pub struct Assignment {
    /// The variable.
    pub name: String,
    /// A text is a template, and one that is a single `{{ path }}` keeps the type of what it names; other
    /// JSON is kept as it is.
    #[serde(default)]
    pub value: Value,
}

impl NodeKind for SetVariable {
    fn exits(&self) -> Vec<String> {
        vec!["next".to_owned()]
    }

    fn check(&self, report: &mut Report<'_>) {
        for (index, assignment) in self.assignments.iter().enumerate() {
            let name = format!("assignments[{index}].name");
            report.required(&name, &assignment.name);
            if SCOPE_NAMES.contains(&assignment.name.as_str()) {
                report.problem(&name, reason!("scope_name", "`{name}` is the name of a scope", name = assignment.name));
            }
            report.template_value(&format!("assignments[{index}].value"), &assignment.value);
        }
    }

    fn enter(&self, step: &mut Step<'_>) -> Next {
        for assignment in &self.assignments {
            let value = step.fill(&assignment.value);
            step.set(&assignment.name, value);
        }
        Next::exit("next")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::flow::nodes::testing;

    #[test]
    fn it_is_checked() {
        let node: SetVariable = testing::node(json!({"assignments": [
            {"name": "", "value": "{{"}, {"name": "lead", "value": 1}, {"name": "a", "value": ["{{"]},
        ]}));
        assert_eq!(
            testing::wrong_fields(&node),
            ["assignments[0].name", "assignments[0].value", "assignments[1].name"]
        );
    }
}
