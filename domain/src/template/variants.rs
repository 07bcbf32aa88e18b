//! Other words for a body: whatever writes them, they keep to the rules of authoring and to every placeholder.

use serde_json::{Value, json};

use crate::flow::validation::Problem;
use crate::reason;
use crate::template::category::Category;
use crate::template::components;
use crate::template::placeholders::{self, Naming};

/// Variants of a body at most.
pub const VARIANTS_MAX: usize = 10;

/// What is wrong with a body somebody wants variants of.
pub fn source_problems(source: &str) -> Vec<Problem> {
    told(source, "sourceBody")
}

/// What is wrong with a variant of a body: whatever Meta would refuse, a placeholder it lost or made up, and nothing new.
pub fn problems(source: &str, variant: &str) -> Vec<Problem> {
    let mut problems = told(variant, "text");
    let read = |text| placeholders::read(text).map(|found| names(&found)).unwrap_or_default();
    let (wanted, found) = (read(source), read(variant));
    let mut missing = wanted.iter().filter(|name| !found.contains(name)).peekable();
    if missing.peek().is_some() {
        let missing: Vec<String> = missing.map(|name| format!("{{{{{name}}}}}")).collect();
        let reason = reason!("placeholders_lost", "has lost {placeholders}", placeholders = missing.join(", "));
        problems.push(Problem::of_field("text", reason));
    }
    for name in found.iter().filter(|name| !wanted.contains(name)) {
        let placeholder = format!("{{{{{name}}}}}");
        let reason = reason!("placeholder_made_up", "has {placeholder}, which the source does not have", placeholder);
        problems.push(Problem::of_field("text", reason));
    }
    if variant.trim() == source.trim() {
        problems.push(Problem::of_field("text", reason!("source_itself", "is the source itself")));
    }
    problems
}

fn names(found: &[placeholders::Placeholder<'_>]) -> Vec<String> {
    placeholders::names(found).into_iter().map(str::to_owned).collect()
}

/// The rules of authoring, with examples for every placeholder.
fn told(text: &str, field: &str) -> Vec<Problem> {
    let body = json!([{ "type": "BODY", "text": text, "example": examples(text) }]);
    let problems = components::problems(&Category::Utility, &body);
    problems.into_iter().map(|problem| problem.in_field(field)).collect()
}

fn examples(text: &str) -> Value {
    let names = placeholders::read(text).map(|found| names(&found)).unwrap_or_default();
    if names.iter().any(|name| placeholders::naming_of(name) == Some(Naming::Named)) {
        let each = |name: &String| json!({ "param_name": name, "example": "x" });
        return json!({ "body_text_named_params": names.iter().map(each).collect::<Vec<_>>() });
    }
    json!({ "body_text": [vec!["x"; names.len()]] })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reasons(source: &str, variant: &str) -> Vec<String> {
        problems(source, variant).into_iter().map(|problem| problem.reason).collect()
    }

    #[test]
    fn a_variant_keeps_every_placeholder_and_says_it_otherwise() {
        let source = "Hello {{1}}, your table for {{2}} is booked.";
        assert!(source_problems(source).is_empty());
        assert!(reasons(source, "Good news, {{1}}: the table for {{2}} is yours.").is_empty());
        assert_eq!(reasons(source, "Your table is booked."), ["has lost {{1}}, {{2}}"]);
        let more = reasons(source, "Hello {{1}}, your table for {{2}} with {{3}} is booked.");
        assert_eq!(more, ["has {{3}}, which the source does not have"]);
        assert_eq!(reasons(source, source), ["is the source itself"]);
        assert!(reasons(source, "{{1}}, your table for {{2}} is booked.")[0].contains("begin"));
        assert_eq!(reasons("Hi there", &"x".repeat(1_025)), ["has at most 1024 characters"]);
        let named = "Hello {{name}}, your order {{order_id}} is ready.";
        assert!(
            source_problems(named).is_empty() && reasons(named, "Dear {{name}}, {{order_id}} is ready now.").is_empty()
        );
        assert_eq!(source_problems("Hello {{1")[0].field.as_deref(), Some("sourceBody"));
    }
}
