//! The null character: JSON has it, Postgres keeps it neither in a text nor in `jsonb`.

use serde_json::{Map, Value};

const NULL: char = '\0';

/// Whether a text or a name anywhere inside contains it.
pub fn has_null(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains(NULL),
        Value::Array(items) => items.iter().any(has_null),
        Value::Object(members) => members.iter().any(|(name, value)| name.contains(NULL) || has_null(value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// The value with every one replaced by U+FFFD, as a browser shows it.
pub fn without_nulls(value: Value) -> Value {
    if has_null(&value) { replaced(value) } else { value }
}

fn replaced(value: Value) -> Value {
    let text = |text: String| text.replace(NULL, "\u{fffd}");
    match value {
        Value::String(it) => Value::String(text(it)),
        Value::Array(items) => Value::Array(items.into_iter().map(replaced).collect()),
        Value::Object(members) => {
            Value::Object(members.into_iter().map(|(name, value)| (text(name), replaced(value))).collect::<Map<_, _>>())
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn nulls_are_found_and_replaced_wherever_they_stand() {
        for (value, expected) in [
            (json!("a\0b"), json!("a\u{fffd}b")),
            (json!([1, { "x\0": ["\0"] }]), json!([1, { "x\u{fffd}": ["\u{fffd}"] }])),
        ] {
            assert!(has_null(&value));
            assert_eq!(without_nulls(value), expected);
        }
        let plain = json!({ "a": ["b\\u0000", null, 0] });
        assert!(!has_null(&plain));
        assert_eq!(without_nulls(plain.clone()), plain);
    }
}
