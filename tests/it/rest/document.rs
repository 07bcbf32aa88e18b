//! The OpenAPI document as the generated tests read it.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};
use tests::app::TestApp;

/// The document.
pub struct Document(Value);

/// An operation of it.
#[derive(Clone)]
pub struct Operation {
    /// Its name.
    pub id: String,
    /// Its method.
    pub method: Method,
    /// Its path, with the parameters in braces.
    pub path: String,
    /// What the document says of it.
    pub said: Value,
}

impl Document {
    /// As the product serves it.
    pub async fn of(app: &TestApp) -> Self {
        Self(app.call(Method::GET, "/openapi.json", None, &[]).await.ok())
    }

    /// Every operation.
    pub fn operations(&self) -> Vec<Operation> {
        let paths = self.0["paths"].as_object().expect("paths");
        let all = paths.iter().flat_map(|(path, item)| {
            item.as_object().expect("operations").iter().map(|(method, said)| Operation {
                id: said["operationId"].as_str().expect("a name").to_owned(),
                method: method.to_uppercase().parse().expect("a method"),
                path: path.clone(),
                said: said.clone(),
            })
        });
        all.collect()
    }

    /// A schema with its references followed, one deep.
    fn resolved(&self, schema: &Value) -> Value {
        let target = schema["$ref"].as_str().and_then(|name| self.0.pointer(name.trim_start_matches('#')));
        target.map_or_else(|| schema.clone(), |found| self.resolved(found))
    }

    /// The names of a schema's members, and of those that are required.
    fn members(&self, schema: &Value) -> (BTreeSet<String>, BTreeSet<String>) {
        let schema = self.resolved(schema);
        let names = |value: &Value| -> BTreeSet<String> {
            let listed = value.as_array().into_iter().flatten().filter_map(|it| it.as_str().map(str::to_owned));
            value.as_object().into_iter().flatten().map(|(name, _)| name.clone()).chain(listed).collect()
        };
        let (mut known, mut required) = (names(&schema["properties"]), names(&schema["required"]));
        for word in ["allOf", "oneOf", "anyOf"] {
            for part in schema[word].as_array().into_iter().flatten() {
                let (more, needed) = self.members(part);
                known.extend(more);
                // What one of several asks for is not asked for by all.
                required.extend(needed.into_iter().filter(|_| word == "allOf"));
            }
        }
        (known, required)
    }

    /// The members its request may have, and those it must.
    pub fn request_members(&self, operation: &Operation) -> (BTreeSet<String>, BTreeSet<String>) {
        self.members(&operation.said["requestBody"]["content"]["application/json"]["schema"])
    }
}

impl Operation {
    /// Whether its answers may have this status.
    pub fn declares(&self, status: u16) -> bool {
        self.said["responses"].get(status.to_string()).is_some()
    }

    /// A body it may be called with: its own example. Some need another one than people read.
    pub fn sample(&self) -> Option<Value> {
        if self.said["requestBody"].is_null() {
            return None;
        }
        if let Some(sample) = own_sample(&self.id) {
            return Some(sample);
        }
        let media = &self.said["requestBody"]["content"]["application/json"];
        let several = media["examples"].as_object().and_then(|all| all.values().next()).map(|it| it["value"].clone());
        let sample = media.get("example").cloned().or(several);
        Some(sample.unwrap_or_else(|| {
            panic!("`{}` takes a body: give it an example in api/src/openapi/examples.json, or a sample here", self.id)
        }))
    }
}

/// Bodies for operations whose example would be refused for a reason of its own, whoever sends it.
fn own_sample(id: &str) -> Option<Value> {
    match id {
        // Nobody hands on what they do not have: the example's permissions are an owner's to give.
        "createEmployee" => Some(json!({ "username": "new-colleague", "password": "correct horse",
                                         "email": "new@example.com", "displayName": "New", "permissions": [] })),
        _ => None,
    }
}
