//! What is wrong with a JSON body, by the schema the document shows.

use std::fmt::Write;

use domain::flow::validation::Problem;
use domain::reason;
use domain::shared::reason::Reason;
use poem_openapi::registry::{MetaSchema, MetaSchemaRef, Registry};
use poem_openapi::types::Type;
use serde_json::{Map, Value};

/// Problems told at most.
const PROBLEMS_MAX: usize = 20;

/// Everything that keeps a value from being a `T`.
pub fn of<T: Type>(value: &Value) -> Vec<Problem> {
    let mut registry = Registry::new();
    T::register(&mut registry);
    let mut diagnosis = Diagnosis { registry, path: String::new(), problems: Vec::new() };
    diagnosis.check(value, &T::schema_ref());
    diagnosis.problems.truncate(PROBLEMS_MAX);
    diagnosis.problems
}

struct Diagnosis {
    registry: Registry,
    /// Where we are, such as `sections[0].rows[1].title`.
    path: String,
    problems: Vec<Problem>,
}

impl Diagnosis {
    fn check(&mut self, value: &Value, schema: &MetaSchemaRef) {
        let schema = match schema {
            MetaSchemaRef::Inline(schema) => (**schema).clone(),
            MetaSchemaRef::Reference(name) => match self.registry.schemas.get(name) {
                Some(schema) => schema.clone(),
                None => return,
            },
        };
        for part in &schema.all_of {
            self.check(value, part);
        }
        match (schema.ty, value) {
            ("object", Value::Object(members)) if !schema.properties.is_empty() => self.members(members, &schema),
            ("array", Value::Array(items)) => self.items(items, &schema),
            ("string", Value::String(text)) => self.text(text, &schema),
            ("integer", Value::Number(number)) if number.is_i64() || number.is_u64() => {
                self.number(number.as_f64(), &schema)
            }
            ("number", Value::Number(number)) => self.number(number.as_f64(), &schema),
            ("" | "object", Value::Object(_)) | ("boolean", Value::Bool(_)) | ("", _) => {}
            ("object", _) => self.say(reason!("not_an_object", "must be an object")),
            ("array", _) => self.say(reason!("not_a_list", "must be a list")),
            ("string", _) => self.say(reason!("not_a_text", "must be a text")),
            ("integer", _) => self.say(reason!("not_a_whole_number", "must be a whole number")),
            ("number", _) => self.say(reason!("not_a_number", "must be a number")),
            ("boolean", _) => self.say(reason!("not_true_or_false", "must be true or false")),
            _ => {}
        }
    }

    fn members(&mut self, members: &Map<String, Value>, schema: &MetaSchema) {
        for unknown in members.keys().filter(|name| schema.properties.iter().all(|(known, _)| known != name)) {
            self.at(&format!(".{unknown}"), |it| it.say(reason!("unknown_field", "is no field of this request")));
        }
        for (name, property) in &schema.properties {
            let required = schema.required.contains(name);
            match members.get(*name) {
                Some(value) if required || !value.is_null() => {
                    self.at(&format!(".{name}"), |it| it.check(value, property))
                }
                None if required => self.at(&format!(".{name}"), |it| it.say(reason!("required", "is required"))),
                Some(_) | None => {}
            }
        }
    }

    fn items(&mut self, items: &[Value], schema: &MetaSchema) {
        let count = items.len();
        if let Some(min) = schema.min_items.filter(|min| count < *min) {
            self.say(reason!("items_min", "has at least {min} items", min));
        }
        if let Some(max) = schema.max_items.filter(|max| count > *max) {
            self.say(reason!("items_max", "has at most {max} items", max));
        }
        let Some(item) = &schema.items else { return };
        for (index, value) in items.iter().enumerate().take(PROBLEMS_MAX) {
            self.at(&format!("[{index}]"), |it| it.check(value, item));
        }
    }

    fn text(&mut self, text: &str, schema: &MetaSchema) {
        if !schema.enum_items.is_empty() && !schema.enum_items.iter().any(|known| known == text) {
            let known: Vec<&str> = schema.enum_items.iter().filter_map(Value::as_str).collect();
            self.say(reason!("one_of", "is one of {allowed}", allowed = known.join(", ")));
        }
        if schema.format == Some("uuid") && uuid::Uuid::parse_str(text).is_err() {
            self.say(reason!("not_a_uuid", "must be a UUID"));
        }
        let length = text.chars().count();
        if let Some(min) = schema.min_length.filter(|min| length < *min) {
            self.say(reason!("too_short", "has at least {min} characters", min));
        }
        if let Some(max) = schema.max_length.filter(|max| length > *max) {
            self.say(reason!("too_long", "has at most {max} characters", max));
        }
    }

    fn number(&mut self, number: Option<f64>, schema: &MetaSchema) {
        let unsigned = schema.format.is_some_and(|format| format.starts_with("uint"));
        let least = schema.minimum.or(unsigned.then_some(0.0));
        let most = schema.maximum.or((schema.format == Some("uint32")).then_some(f64::from(u32::MAX)));
        let number = number.unwrap_or(f64::NAN);
        if let Some(min) = least.filter(|min| number < *min) {
            self.say(reason!("number_min", "must be at least {min}", min));
        }
        if let Some(max) = most.filter(|max| number > *max) {
            self.say(reason!("number_max", "must be at most {max}", max));
        }
    }

    fn at(&mut self, step: &str, work: impl FnOnce(&mut Self)) {
        let length = self.path.len();
        let step = if self.path.is_empty() { step.trim_start_matches('.') } else { step };
        let _ = write!(self.path, "{step}");
        work(self);
        self.path.truncate(length);
    }

    /// What is wrong here; without a field, it is the body itself.
    fn say(&mut self, reason: Reason) {
        let problem =
            if self.path.is_empty() { Problem::of_flow(reason) } else { Problem::of_field(self.path.clone(), reason) };
        self.problems.push(problem);
    }
}
