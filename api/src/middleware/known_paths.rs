//! The operations of the document, by path: which methods a path has, and whom a request with an `Idempotency-Key` has
//! to be from before anything is told of it.

use domain::access::Need;
use poem::http::Method;
use serde_json::Value;

use crate::security::may;

/// Methods of an operation, in the order `Allow` lists them.
const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

/// Every path of the document with its operations; those of a literal path before those of a pattern.
#[derive(Debug, Default)]
pub struct KnownPaths(Vec<Path>);

#[derive(Debug)]
struct Path {
    segments: Vec<String>,
    allow: String,
    keyed: Vec<(Method, Guard)>,
}

/// Whom an operation that takes an `Idempotency-Key` lets in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Guard {
    /// What it asks of a session.
    pub need: Need,
    /// Whether it lets in others by credentials of its own, which it alone can check.
    pub or_own_credentials: bool,
}

impl KnownPaths {
    /// Reads them from the OpenAPI document.
    pub fn of(document: &Value) -> Self {
        let paths = document["paths"].as_object().into_iter().flatten();
        let path = |(path, item): (&String, &Value)| Path {
            segments: segments(path),
            allow: allow(item),
            keyed: METHODS.iter().filter_map(|method| keyed(method, &item[method])).collect(),
        };
        Self(paths.map(path).collect())
    }

    /// The methods of a path, as `Allow` lists them.
    pub fn allow(&self, path: &str) -> &str {
        self.at(path).map_or("GET, HEAD", |known| known.allow.as_str())
    }

    /// Whom the operation lets in; nothing where it takes no `Idempotency-Key`, or is none.
    pub fn guard(&self, method: &Method, path: &str) -> Option<Guard> {
        self.at(path)?.keyed.iter().find(|(known, _)| known == method).map(|(_, guard)| *guard)
    }

    fn at(&self, path: &str) -> Option<&Path> {
        let asked = segments(path);
        let fits = |known: &&Path| {
            let mut pairs = known.segments.iter().zip(&asked);
            known.segments.len() == asked.len() && pairs.all(|(k, a)| k == a || k.starts_with('{'))
        };
        let literal = |known: &&Path| known.segments.iter().filter(|it| !it.starts_with('{')).count();
        self.0.iter().filter(fits).max_by_key(literal)
    }
}

fn segments(path: &str) -> Vec<String> {
    path.trim_matches('/').split('/').map(str::to_owned).collect()
}

fn allow(item: &Value) -> String {
    let shown = METHODS.iter().filter(|method| item.get(**method).is_some()).map(|method| match *method {
        "get" => "GET, HEAD".to_owned(),
        other => other.to_uppercase(),
    });
    shown.collect::<Vec<_>>().join(", ")
}

fn keyed(method: &str, operation: &Value) -> Option<(Method, Guard)> {
    let mut parameters = operation["parameters"].as_array()?.iter();
    parameters.find(|it| it["name"] == "Idempotency-Key")?;
    let access = &operation["x-access"];
    let guard =
        Guard { need: may::need(access["rule"].as_str()?)?, or_own_credentials: access["orOwnCredentials"] == true };
    Some((method.to_uppercase().parse().ok()?, guard))
}

#[cfg(test)]
mod tests {
    use domain::access::Permission;
    use serde_json::json;

    use super::*;

    fn known() -> KnownPaths {
        let keyed = |access: Value| json!({ "parameters": [{ "name": "Idempotency-Key" }], "x-access": access });
        KnownPaths::of(&json!({"paths": {
            "/api/flows": {"get": {}, "post": keyed(json!({ "rule": "flows" }))},
            "/api/flows/{id}": {"put": {"x-access": { "rule": "flows" }}},
            "/api/flows/generate": {"post": keyed(json!({ "rule": "outbound", "orOwnCredentials": true }))},
        }}))
    }

    #[test]
    fn a_path_knows_its_methods() {
        let known = known();
        assert_eq!(known.allow("/api/flows"), "GET, HEAD, POST");
        assert_eq!(known.allow("/api/flows/7/"), "PUT");
        assert_eq!(known.allow("/api/flows/generate"), "POST");
        assert_eq!(known.allow("/healthz"), "GET, HEAD");
    }

    #[test]
    fn an_operation_that_takes_a_key_knows_whom_it_lets_in() {
        let known = known();
        let guard = |permission, or_own_credentials| Guard { need: Need::Granted(permission), or_own_credentials };
        assert_eq!(known.guard(&Method::POST, "/api/flows/"), Some(guard(Permission::Flows, false)));
        assert_eq!(known.guard(&Method::POST, "/api/flows/generate"), Some(guard(Permission::Outbound, true)));
        assert_eq!(known.guard(&Method::GET, "/api/flows"), None);
        assert_eq!(known.guard(&Method::PUT, "/api/flows/7"), None, "it takes no key");
        assert_eq!(known.guard(&Method::POST, "/healthz"), None);
    }
}
