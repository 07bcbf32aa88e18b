//! Which methods a path has, for the `Allow` header of a 405.

use serde_json::Value;

/// Every path of the document with its methods.
#[derive(Debug, Default)]
pub struct Methods(Vec<(Vec<String>, String)>);

impl Methods {
    /// Reads them from the OpenAPI document.
    pub fn of(document: &Value) -> Self {
        let paths = document["paths"].as_object().into_iter().flatten();
        Self(paths.map(|(path, operations)| (segments(path), methods(operations))).collect())
    }

    /// The methods of a path, as `Allow` lists them; those of a literal path before those of a pattern.
    pub fn at(&self, path: &str) -> &str {
        let asked = segments(path);
        let fits = |known: &&(Vec<String>, String)| {
            known.0.len() == asked.len() && known.0.iter().zip(&asked).all(|(k, a)| k == a || k.starts_with('{'))
        };
        let literal = |known: &&(Vec<String>, String)| known.0.iter().filter(|it| !it.starts_with('{')).count();
        self.0.iter().filter(fits).max_by_key(literal).map_or("GET, HEAD", |known| known.1.as_str())
    }
}

fn segments(path: &str) -> Vec<String> {
    path.trim_matches('/').split('/').map(str::to_owned).collect()
}

fn methods(operations: &Value) -> String {
    let known = ["get", "post", "put", "patch", "delete"];
    let has = |method: &&&str| operations.get(**method).is_some();
    let shown = known.iter().filter(has).map(|method| match *method {
        "get" => "GET, HEAD".to_owned(),
        other => other.to_uppercase(),
    });
    shown.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_path_knows_its_methods() {
        let known = Methods::of(&json!({"paths": {
            "/api/flows": {"get": {}, "post": {}}, "/api/flows/{id}": {"put": {}}, "/api/flows/generate": {"post": {}},
        }}));
        assert_eq!(known.at("/api/flows"), "GET, HEAD, POST");
        assert_eq!(known.at("/api/flows/7/"), "PUT");
        assert_eq!(known.at("/api/flows/generate"), "POST");
        assert_eq!(known.at("/healthz"), "GET, HEAD");
    }
}
