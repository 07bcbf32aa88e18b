//! A template's components, in Meta's JSON: what would be refused of them, and what they say.

pub mod authentication;
pub mod buttons;
pub mod cards;
pub mod texts;

use serde_json::{Map, Value, json};

use crate::flow::validation::Problem;
use crate::reason;
use crate::shared::reason::Reason;
use crate::template::category::Category;
use crate::template::command::Texts;
use crate::template::placeholders::{self, Naming};

/// Components of the whole.
const KINDS: [&str; 6] = ["HEADER", "BODY", "FOOTER", "BUTTONS", "CAROUSEL", "LIMITED_TIME_OFFER"];

/// Collects problems, each with the field it stands in.
#[derive(Debug, Default)]
pub struct Report {
    problems: Vec<Problem>,
}

impl Report {
    /// Something is wrong with this field.
    pub fn problem(&mut self, field: impl Into<String>, reason: Reason) {
        self.problems.push(Problem::of_field(field, reason));
    }
}

/// The kind of a component or of a button, in capitals.
pub fn kind(component: &Value) -> String {
    component["type"].as_str().unwrap_or_default().to_uppercase()
}

/// The first component of a kind, with its place.
pub fn find<'a>(components: &'a Value, wanted: &str) -> Option<(usize, &'a Value)> {
    components.as_array()?.iter().enumerate().find(|(_, component)| kind(component) == wanted)
}

/// The field a component of this kind stands in, or would.
pub fn place_of(components: &Value, wanted: &str) -> String {
    find(components, wanted).map_or_else(|| "components".to_owned(), |(at, _)| format!("components[{at}]"))
}

/// Everything Meta would refuse of these components.
pub fn problems(category: &Category, components: &Value) -> Vec<Problem> {
    let mut report = Report::default();
    let Some(list) = components.as_array().filter(|list| !list.is_empty()) else {
        report.problem("components", reason!("components_needed", "is a list of components with a BODY in it"));
        return report.problems;
    };
    let mut seen: Vec<String> = Vec::new();
    for (at, component) in list.iter().enumerate() {
        let (kind, field) = (kind(component), format!("components[{at}]"));
        if !KINDS.contains(&kind.as_str()) {
            report
                .problem(format!("{field}.type"), reason!("one_of", "is one of {allowed}", allowed = KINDS.join(", ")));
            continue;
        }
        if seen.contains(&kind) {
            report.problem(&field, reason!("component_twice", "there is a {kind} already", kind));
        }
        check(&kind, component, &field, category, &mut report);
        seen.push(kind);
    }
    if !seen.iter().any(|kind| kind == "BODY") {
        report.problem("components", reason!("body_missing", "a BODY is missing"));
    }
    if *category == Category::Authentication {
        authentication::check_whole(list, &mut report);
    }
    check_naming(list, &mut report);
    report.problems
}

fn check(kind: &str, component: &Value, field: &str, category: &Category, report: &mut Report) {
    let for_codes = *category == Category::Authentication;
    match kind {
        "HEADER" if for_codes => {
            report.problem(field, reason!("header_of_codes", "an authentication template has no header"));
        }
        "HEADER" => texts::check_header(component, field, report),
        "BODY" if for_codes => authentication::check_body(component, field, report),
        "BODY" => texts::check_body(component, field, texts::BODY_CHARS_MAX, report),
        "FOOTER" if for_codes => authentication::check_footer(component, field, report),
        "FOOTER" => texts::check_footer(component, field, report),
        "BUTTONS" if for_codes => authentication::check_buttons(component, field, report),
        "BUTTONS" => buttons::check(component, field, report),
        _ if *category != Category::Marketing => {
            report.problem(field, reason!("marketing_alone", "{kind} is for MARKETING alone", kind));
        }
        "CAROUSEL" => cards::check(component, field, report),
        _ => cards::check_offer(component, field, report),
    }
}

/// Numbers and words do not mix, not even across components.
fn check_naming(list: &[Value], report: &mut Report) {
    let all = naming_in(list);
    if all.contains(&Naming::Positional) && all.contains(&Naming::Named) {
        let reason = reason!("placeholders_mixed", "placeholders are either all numbers or all words");
        report.problem("components", reason);
    }
}

fn naming_in(list: &[Value]) -> Vec<Naming> {
    let texts = list.iter().filter_map(|component| component["text"].as_str());
    let names = texts.filter_map(|text| placeholders::read(text).ok()).flatten();
    names.filter_map(|placeholder| placeholders::naming_of(placeholder.name)).collect()
}

/// How the placeholders of these components are named.
pub fn naming(components: &Value) -> Naming {
    let all = components.as_array().map(|list| naming_in(list)).unwrap_or_default();
    if all.contains(&Naming::Named) { Naming::Named } else { Naming::Positional }
}

/// Whether both say the same to a customer: examples, which Meta gives back as short-lived addresses, do not count.
pub fn say_the_same(one: &Value, other: &Value) -> bool {
    plain(one) == plain(other)
}

fn plain(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(plain).collect(),
        Value::Object(members) => {
            let said = members.iter().filter(|(name, value)| *name != "example" && !value.is_null());
            let member = |(name, value): (&String, &Value)| match (name.as_str(), value.as_str()) {
                ("type" | "format" | "otp_type", Some(word)) => (name.clone(), Value::from(word.to_uppercase())),
                _ => (name.clone(), plain(value)),
            };
            Value::Object(said.map(member).collect::<Map<_, _>>())
        }
        other => other.clone(),
    }
}

/// The components with these texts in the place of theirs; components that were not there come to be.
pub fn with_texts(components: &Value, texts: &Texts) -> Value {
    let mut list = components.as_array().cloned().unwrap_or_default();
    let mut put = |kind_of: &str, member: &str, value: Option<Value>| {
        let Some(value) = value else { return };
        match list.iter_mut().find(|component| kind(component) == kind_of) {
            Some(component) => component[member] = value,
            None => list.push(json!({ "type": kind_of, member: value })),
        }
    };
    put("HEADER", "text", texts.header.clone().map(Value::from));
    put("BODY", "text", texts.body.clone().map(Value::from));
    put("FOOTER", "text", texts.footer.clone().map(Value::from));
    put("BUTTONS", "buttons", texts.buttons.clone().map(Value::from));
    if let Some(header) = list.iter_mut().find(|component| kind(component) == "HEADER" && component["format"].is_null())
    {
        header["format"] = Value::from("TEXT");
    }
    Value::from(list)
}

#[cfg(test)]
mod tests;
