//! Says of every member an answer need not have that it may be `null` too: views show what is not known as `null`, which
//! the library does not tell.

use std::collections::BTreeSet;

use serde_json::{Value, json};

/// Opens the schemas with these names.
pub(super) fn describe(document: &mut Value, shown: &BTreeSet<String>) {
    for name in shown {
        if let Some(schema) = document["components"]["schemas"].get_mut(name) {
            open(schema);
        }
    }
}

fn open(schema: &mut Value) {
    for part in schema.get_mut("allOf").and_then(Value::as_array_mut).into_iter().flatten() {
        open(part);
    }
    let required: Vec<String> =
        schema["required"].as_array().into_iter().flatten().filter_map(|it| it.as_str().map(str::to_owned)).collect();
    for (name, member) in schema.get_mut("properties").and_then(Value::as_object_mut).into_iter().flatten() {
        if required.contains(name) {
            continue;
        }
        if member.get("$ref").is_some() {
            // Beside a reference nothing else counts.
            *member = json!({ "allOf": [member.take()] });
        }
        member["nullable"] = Value::Bool(true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_need_not_be_there_may_be_null() {
        let mut document = json!({ "components": { "schemas": {
            "Lead": { "type": "object", "required": ["id"], "properties": {
                "id": { "type": "string" }, "name": { "type": "string" }, "flow": { "$ref": "#/components/schemas/F" } } },
            "Asked": { "type": "object", "properties": { "name": { "type": "string" } } },
        } } });
        describe(&mut document, &BTreeSet::from(["Lead".to_owned(), "Gone".to_owned()]));
        let members = &document["components"]["schemas"]["Lead"]["properties"];
        assert_eq!(members["id"].get("nullable"), None);
        assert_eq!(members["name"]["nullable"], true);
        assert_eq!(members["flow"], json!({ "allOf": [{ "$ref": "#/components/schemas/F" }], "nullable": true }));
        assert_eq!(document["components"]["schemas"]["Asked"]["properties"]["name"].get("nullable"), None);
    }
}
