//! Reading Meta's JSON leniently: what is a string in one payload is a number in the next.

use chrono::{DateTime, Utc};
use serde_json::Value;

/// Seconds up to the year 5138 are below it, milliseconds since 1973 above it.
const MILLISECONDS_FROM: i64 = 100_000_000_000;

/// The member at a path of object keys.
pub(super) fn at<'a>(value: &'a Value, path: &[&str]) -> Option<&'a Value> {
    path.iter().try_fold(value, |inner, key| inner.get(key)).filter(|found| !found.is_null())
}

/// A string, or a number as one; empty and blank strings count as absent.
pub(super) fn text(value: &Value, path: &[&str]) -> Option<String> {
    match at(value, path)? {
        Value::String(text) if !text.trim().is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Bool(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

/// A whole number, or a string of one.
pub(super) fn integer(value: &Value, path: &[&str]) -> Option<i64> {
    let found = at(value, path)?;
    found.as_i64().or_else(|| found.as_str()?.trim().parse().ok())
}

/// A number, or a string of one.
pub(super) fn float(value: &Value, path: &[&str]) -> Option<f64> {
    let found = at(value, path)?;
    found.as_f64().or_else(|| found.as_str()?.trim().parse().ok()).filter(|number: &f64| number.is_finite())
}

/// The elements of an array; something else that is there counts as one element, nothing as none.
pub(super) fn elements(value: Option<&Value>) -> &[Value] {
    match value {
        Some(Value::Array(items)) => items,
        None | Some(Value::Null) => &[],
        Some(other) => std::slice::from_ref(other),
    }
}

/// Meta's timestamps: a decimal string or an integer, of seconds or sometimes of milliseconds.
pub(super) fn timestamp(value: &Value, path: &[&str]) -> Option<DateTime<Utc>> {
    let number = integer(value, path).filter(|number| *number > 0)?;
    if number >= MILLISECONDS_FROM {
        DateTime::from_timestamp_millis(number)
    } else {
        DateTime::from_timestamp(number, 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn timestamps_come_in_four_spellings() {
        let expected = DateTime::from_timestamp(1_700_000_000, 0);
        for spelling in
            [json!("1700000000"), json!(1_700_000_000), json!("1700000000000"), json!(1_700_000_000_000_i64)]
        {
            assert_eq!(timestamp(&json!({ "t": spelling }), &["t"]), expected, "{spelling}");
        }
        for none in [json!(null), json!("soon"), json!(-5), json!(0), json!({}), json!(i64::MAX)] {
            assert_eq!(timestamp(&json!({ "t": none }), &["t"]), None, "{none}");
        }
    }

    #[test]
    fn what_is_not_an_array_is_one_element() {
        assert_eq!(elements(Some(&json!([1, 2]))).len(), 2);
        assert_eq!(elements(Some(&json!({"id": "a"}))).len(), 1);
        assert!(elements(Some(&json!(null))).is_empty() && elements(None).is_empty());
    }
}
