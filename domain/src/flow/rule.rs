//! The rules of a condition: `{left, op, right}`.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::flow::nodes::Step;
use crate::flow::validation::Report;
use crate::flow::{pattern, template, typed};
use crate::reason;

string_enum! {
    /// How the two sides of a rule are compared.
    Operator {
        Equals = "equals", NotEquals = "not_equals", Contains = "contains", NotContains = "not_contains",
        StartsWith = "starts_with", EndsWith = "ends_with", Matches = "matches", In = "in",
        Gt = "gt", Gte = "gte", Lt = "lt", Lte = "lte", Between = "between", Before = "before", After = "after",
        IsSet = "is_set", IsEmpty = "is_empty", IsNumber = "is_number", IsEmail = "is_email", IsPhone = "is_phone",
        IsDate = "is_date",
        /// The conversation carries a label.
        HasLabel = "has_label",
        /// The 24-hour window is open.
        InWindow = "in_window",
    }
}

/// One rule. `left` is a path such as `lead.email`, or a template; `right` is a template or JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rule {
    /// What is looked at.
    #[serde(default)]
    pub left: String,
    /// How.
    pub op: Operator,
    /// What it is compared with.
    #[serde(default)]
    pub right: Value,
}

impl Rule {
    /// What is wrong with it.
    pub fn check(&self, field: &str, report: &mut Report<'_>) {
        report.template(&format!("{field}.left"), &self.left);
        report.template_value(&format!("{field}.right"), &self.right);
        if self.op != Operator::InWindow && self.op != Operator::HasLabel {
            report.required(&format!("{field}.left"), &self.left);
        }
        let right = self.right.as_str().unwrap_or_default();
        if template::is_template(right) {
            return;
        }
        if self.op == Operator::Matches {
            report.pattern(&format!("{field}.right"), right);
        }
        if self.op == Operator::Between && bounds(&self.right).is_none() {
            report.problem(&format!("{field}.right"), reason!("not_bounds", "must be `[low, high]` or \"low,high\""));
        }
    }

    /// Whether it holds now.
    pub fn holds(&self, step: &mut Step<'_>) -> bool {
        let left = self.left(step);
        let right = step.fill(&self.right);
        let (text, other) = (folded(&left), folded(&right));
        match self.op {
            Operator::Equals => equal(&left, &right),
            Operator::NotEquals => !equal(&left, &right),
            Operator::Contains => contains(&left, &right),
            Operator::NotContains => !contains(&left, &right),
            Operator::StartsWith => text.starts_with(&other),
            Operator::EndsWith => text.ends_with(&other),
            Operator::Matches => pattern::found(&typed::text_of(&right), &typed::text_of(&left)),
            Operator::In => items(&right).iter().any(|item| equal(&left, item)),
            Operator::Gt => order(step, &left, &right).is_some_and(|order| order.is_gt()),
            Operator::Gte => order(step, &left, &right).is_some_and(|order| order.is_ge()),
            Operator::Lt => order(step, &left, &right).is_some_and(|order| order.is_lt()),
            Operator::Lte => order(step, &left, &right).is_some_and(|order| order.is_le()),
            Operator::Between => bounds(&right).is_some_and(|(low, high)| {
                order(step, &left, &low).is_some_and(|order| order.is_ge())
                    && order(step, &left, &high).is_some_and(|order| order.is_le())
            }),
            Operator::Before => moments(step, &left, &right).is_some_and(|order| order.is_lt()),
            Operator::After => moments(step, &left, &right).is_some_and(|order| order.is_gt()),
            Operator::IsSet => !is_empty(&left),
            Operator::IsEmpty => is_empty(&left),
            Operator::IsNumber => typed::number_of(&left).is_some(),
            Operator::IsEmail => typed::email(&text).is_some(),
            Operator::IsPhone => typed::phone(&text).is_some(),
            Operator::IsDate => typed::moment(&typed::text_of(&left), step.env().timezone).is_some(),
            Operator::HasLabel => has_label(step, &right),
            Operator::InWindow => step.env().window_open,
        }
    }

    fn left(&self, step: &mut Step<'_>) -> Value {
        if template::is_template(&self.left) {
            step.fill(&Value::String(self.left.clone()))
        } else {
            step.lookup(&self.left).unwrap_or_default()
        }
    }
}

/// Text as it is compared: trimmed, and without upper case.
fn folded(value: &Value) -> String {
    typed::text_of(value).trim().to_lowercase()
}

fn equal(left: &Value, right: &Value) -> bool {
    match (typed::number_of(left), typed::number_of(right)) {
        (Some(left), Some(right)) => left == right,
        (Some(_), None) | (None, Some(_)) | (None, None) => folded(left) == folded(right),
    }
}

fn contains(left: &Value, right: &Value) -> bool {
    match left {
        Value::Array(all) => all.iter().any(|item| equal(item, right)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
            folded(left).contains(&folded(right))
        }
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(_) | Value::Number(_) => false,
        Value::String(text) => text.trim().is_empty(),
        Value::Array(all) => all.is_empty(),
        Value::Object(fields) => fields.is_empty(),
    }
}

/// A JSON array, or the items of a comma list.
fn items(value: &Value) -> Vec<Value> {
    match value {
        Value::Array(all) => all.clone(),
        Value::String(text) => text.split(',').map(|item| Value::String(item.trim().to_owned())).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => vec![value.clone()],
    }
}

fn bounds(value: &Value) -> Option<(Value, Value)> {
    let [low, high] = <[Value; 2]>::try_from(items(value)).ok()?;
    Some((low, high))
}

fn order(step: &Step<'_>, left: &Value, right: &Value) -> Option<std::cmp::Ordering> {
    match (typed::number_of(left), typed::number_of(right)) {
        (Some(left), Some(right)) => left.partial_cmp(&right),
        (Some(_), None) | (None, Some(_)) | (None, None) => moments(step, left, right),
    }
}

fn moments(step: &Step<'_>, left: &Value, right: &Value) -> Option<std::cmp::Ordering> {
    let timezone = step.env().timezone;
    let moment = |value: &Value| typed::moment(value.as_str()?, timezone);
    Some(moment(left)?.cmp(&moment(right)?))
}

fn has_label(step: &Step<'_>, right: &Value) -> bool {
    let labels = step.lookup("conversation.labels").unwrap_or_default();
    let wanted = items(right);
    labels.as_array().is_some_and(|labels| wanted.iter().any(|label| labels.iter().any(|has| equal(has, label))))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::flow::nodes::testing;

    fn holds(left: &str, op: &str, right: Value) -> bool {
        let mut run = testing::run();
        run.variables = json!({
            "name": " Dana Levi ", "age": 30, "price": "1,200.50", "day": "2026-05-01", "mail": "d@x.io",
            "tel": "+972501234567", "tags": ["VIP", 7], "blank": "", "limit": 20,
        })
        .as_object()
        .cloned()
        .unwrap();
        run.scopes.conversation = json!({"labels": ["Hot lead"]});
        let env = testing::env();
        let rule = Rule { left: left.into(), op: Operator::from_word(op).unwrap(), right };
        rule.holds(&mut Step::new(&run, &env))
    }

    #[test]
    fn every_operator_says_yes() {
        for (left, op, right) in [
            ("name", "equals", json!("dana levi")),
            ("age", "equals", json!("30.0")),
            ("name", "not_equals", json!("x")),
            ("name", "contains", json!("LEVI")),
            ("tags", "contains", json!("vip")),
            ("tags", "not_contains", json!(8)),
            ("name", "starts_with", json!("dana")),
            ("name", "ends_with", json!("levi")),
            ("tel", "matches", json!("^\\+972\\d+$")),
            ("age", "in", json!([29, 30])),
            ("age", "in", json!("29, 30")),
            ("age", "gt", json!("{{ limit }}")),
            ("price", "gte", json!(1200.5)),
            ("age", "lt", json!(31)),
            ("age", "lte", json!(30)),
            ("age", "between", json!([30, 40])),
            ("age", "between", json!("20,30")),
            ("day", "before", json!("02/05/2026")),
            ("day", "after", json!("2026-04-30T10:00:00Z")),
            ("day", "between", json!("2026-04-01,2026-06-01")),
            ("name", "is_set", json!(null)),
            ("blank", "is_empty", json!(null)),
            ("nothing.at.all", "is_empty", json!(null)),
            ("price", "is_number", json!(null)),
            ("mail", "is_email", json!(null)),
            ("tel", "is_phone", json!(null)),
            ("day", "is_date", json!(null)),
            ("", "has_label", json!("hot lead")),
            ("", "in_window", json!(null)),
            ("{{ name | trim }}!", "equals", json!("dana levi!")),
        ] {
            assert!(holds(left, op, right.clone()), "{left} {op} {right}");
        }
    }

    #[test]
    fn every_operator_says_no() {
        for (left, op, right) in [
            ("name", "equals", json!("dana")),
            ("age", "not_equals", json!(30)),
            ("name", "contains", json!("x")),
            ("tags", "not_contains", json!("VIP")),
            ("name", "starts_with", json!("levi")),
            ("name", "ends_with", json!("dana")),
            ("tel", "matches", json!("(")),
            ("age", "in", json!([])),
            ("name", "gt", json!(1)),
            ("age", "gt", json!("old")),
            ("age", "lt", json!(30)),
            ("age", "between", json!([31, 40])),
            ("age", "between", json!("31")),
            ("day", "before", json!("2026-05-01")),
            ("name", "after", json!("2026-05-01")),
            ("blank", "is_set", json!(null)),
            ("age", "is_empty", json!(null)),
            ("name", "is_number", json!(null)),
            ("name", "is_email", json!(null)),
            ("age", "is_phone", json!(null)),
            ("name", "is_date", json!(null)),
            ("", "has_label", json!("cold")),
        ] {
            assert!(!holds(left, op, right.clone()), "{left} {op} {right}");
        }
    }

    #[test]
    fn a_rule_is_checked() {
        let problems = |rule: Value| {
            let rule: Rule = serde_json::from_value(rule).unwrap();
            let mut report = Report::new("1");
            rule.check("rules[0]", &mut report);
            report.into_parts().0.len()
        };
        assert_eq!(problems(json!({"left": "a", "op": "equals", "right": 1})), 0);
        assert_eq!(problems(json!({"op": "equals", "right": "{{"})), 2);
        assert_eq!(problems(json!({"left": "a", "op": "matches", "right": "("})), 1);
        assert_eq!(problems(json!({"left": "a", "op": "between", "right": 1})), 1);
        assert_eq!(problems(json!({"left": "a", "op": "between", "right": "{{ range }}"})), 0);
        assert_eq!(problems(json!({"op": "in_window"})), 0);
    }
}
