//! Leaves by the first case whose rules hold.

use serde::{Deserialize, Serialize};

use crate::flow::nodes::{Next, NodeKind, Step};
use crate::flow::rule::Rule;
use crate::flow::validation::Report;
use crate::reason;

const ELSE: &str = "else";

string_enum! {
    /// How many rules of a case must hold.
    Quantity { All = "all", Any = "any" }
}

/// `{"cases": [{"id": "adult", "match": "all", "rules": [{"left": "age", "op": "gte", "right": 18}]}]}`
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct Condition {
    /// Looked at in order.
    pub cases: Vec<Case>,
}

/// One case, which names an exit.
#[derive(Debug, Clone, Deserialize, Serialize)]
pub struct Case {
    /// Names its exit.
    pub id: String,
    /// How many of its rules must hold.
    #[serde(rename = "match", default = "all")]
    pub quantity: Quantity,
    /// Its rules.
    #[serde(default)]
    pub rules: Vec<Rule>,
}

const fn all() -> Quantity {
    Quantity::All
}

impl Case {
    /// A case without rules never holds.
    fn holds(&self, step: &mut Step<'_>) -> bool {
        match self.quantity {
            Quantity::All => !self.rules.is_empty() && self.rules.iter().all(|rule| rule.holds(step)),
            Quantity::Any => self.rules.iter().any(|rule| rule.holds(step)),
        }
    }
}

impl NodeKind for Condition {
    fn exits(&self) -> Vec<String> {
        self.cases.iter().map(|case| case.id.clone()).chain([ELSE.to_owned()]).collect()
    }

    fn check(&self, report: &mut Report<'_>) {
        let ids: Vec<&str> = self.cases.iter().map(|case| case.id.as_str()).collect();
        report.exit_ids("cases", &ids, &[ELSE]);
        for (index, case) in self.cases.iter().enumerate() {
            if case.rules.is_empty() {
                report.problem(&format!("cases[{index}].rules"), reason!("empty", "must not be empty"));
            }
            for (rule_index, rule) in case.rules.iter().enumerate() {
                rule.check(&format!("cases[{index}].rules[{rule_index}]"), report);
            }
        }
    }

    fn enter(&self, step: &mut Step<'_>) -> Next {
        let case = self.cases.iter().find(|case| case.holds(step));
        Next::exit(case.map_or(ELSE, |case| &case.id))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::flow::nodes::testing;

    #[test]
    fn it_is_checked() {
        let node: Condition = testing::node(json!({"cases": [
            {"id": "a", "rules": [{"left": "x", "op": "matches", "right": "("}]}, {"id": "a", "rules": []}, {"id": "else"},
        ]}));
        let wrong = testing::wrong_fields(&node);
        let expected = ["cases[1].id", "cases[2].id", "cases[0].rules[0].right", "cases[1].rules", "cases[2].rules"];
        assert_eq!(wrong, expected);
    }
}
