//! What is wrong with a JSON body, by the schema the document shows.

use std::fmt::Write;

use domain::flow::validation::Problem;
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
            ("object", _) => self.say("must be an object"),
            ("array", _) => self.say("must be a list"),
            ("string", _) => self.say("must be a text"),
            ("integer", _) => self.say("must be a whole number"),
            ("number", _) => self.say("must be a number"),
            ("boolean", _) => self.say("must be true or false"),
            _ => {}
        }
    }

    fn members(&mut self, members: &Map<String, Value>, schema: &MetaSchema) {
        for unknown in members.keys().filter(|name| schema.properties.iter().all(|(known, _)| known != name)) {
            self.at(&format!(".{unknown}"), |it| it.say("is no field of this request"));
        }
        for (name, property) in &schema.properties {
            let required = schema.required.contains(name);
            match members.get(*name) {
                Some(value) if required || !value.is_null() => {
                    self.at(&format!(".{name}"), |it| it.check(value, property))
                }
                None if required => self.at(&format!(".{name}"), |it| it.say("is required")),
                Some(_) | None => {}
            }
        }
    }

    fn items(&mut self, items: &[Value], schema: &MetaSchema) {
        let count = items.len();
        self.bounds(count as f64, schema.min_items.map(|it| it as f64), schema.max_items.map(|it| it as f64), " items");
        let Some(item) = &schema.items else { return };
        for (index, value) in items.iter().enumerate().take(PROBLEMS_MAX) {
            self.at(&format!("[{index}]"), |it| it.check(value, item));
        }
    }

    fn text(&mut self, text: &str, schema: &MetaSchema) {
        if !schema.enum_items.is_empty() && !schema.enum_items.iter().any(|known| known == text) {
            let known: Vec<&str> = schema.enum_items.iter().filter_map(Value::as_str).collect();
            self.say(&format!("must be one of {}", known.join(", ")));
        }
        if schema.format == Some("uuid") && uuid::Uuid::parse_str(text).is_err() {
            self.say("must be a UUID");
        }
        let length = text.chars().count() as f64;
        self.bounds(
            length,
            schema.min_length.map(|it| it as f64),
            schema.max_length.map(|it| it as f64),
            " characters",
        );
    }

    fn number(&mut self, number: Option<f64>, schema: &MetaSchema) {
        let unsigned = schema.format.is_some_and(|format| format.starts_with("uint"));
        let least = schema.minimum.or(unsigned.then_some(0.0));
        let most = schema.maximum.or((schema.format == Some("uint32")).then_some(f64::from(u32::MAX)));
        self.bounds(number.unwrap_or(f64::NAN), least, most, "");
    }

    fn bounds(&mut self, actual: f64, least: Option<f64>, most: Option<f64>, unit: &str) {
        if least.is_some_and(|least| actual < least) {
            self.say(&format!("must be at least {}{unit}", least.unwrap_or_default()));
        }
        if most.is_some_and(|most| actual > most) {
            self.say(&format!("must be at most {}{unit}", most.unwrap_or_default()));
        }
    }

    fn at(&mut self, step: &str, work: impl FnOnce(&mut Self)) {
        let length = self.path.len();
        let step = if self.path.is_empty() { step.trim_start_matches('.') } else { step };
        let _ = write!(self.path, "{step}");
        work(self);
        self.path.truncate(length);
    }

    fn say(&mut self, reason: &str) {
        let problem = if self.path.is_empty() {
            Problem::of_flow(format!("the body {reason}"))
        } else {
            Problem::of_field(self.path.clone(), reason)
        };
        self.problems.push(problem);
    }
}
