//! What people type, read as the value they mean: numbers, dates, times, mail addresses, phone numbers.

use std::sync::LazyLock;

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Utc};
use chrono_tz::Tz;
use regex::Regex;
use serde_json::{Number, Value};

use crate::flow::local_time;
use crate::shared::phone::Phone;

/// Day formats, the unambiguous one first. `%Y` alone would take a year of two digits for the first century.
const DATE_FORMATS: [&str; 4] = ["%Y-%m-%d", "%d/%m/%Y", "%d.%m.%Y", "%d-%m-%Y"];
const TIME_FORMATS: [&str; 4] = ["%H:%M", "%H:%M:%S", "%I:%M %p", "%I:%M%p"];
const LOCAL_FORMATS: [&str; 3] = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"];

static EMAIL: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"^[^@\s,;<>]+@[^@\s,;<>.]+(\.[^@\s,;<>.]+)+$").ok());

/// A number: `12`, `-3.5`, `1,200.50`, `1,200`, `12,5`.
pub fn number(text: &str) -> Option<Number> {
    let text = plain_number(text.trim())?;
    match text.parse::<i64>() {
        Ok(whole) => Some(whole.into()),
        Err(_) => text.parse::<f64>().ok().and_then(Number::from_f64),
    }
}

/// The number a value is or, as text, stands for.
pub fn number_of(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => number(text)?.as_f64(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

fn plain_number(text: &str) -> Option<String> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let good = unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.' || c == ',')
        && unsigned.chars().all(|c| c.is_ascii_digit() || c == '.' || c == ',');
    if !good {
        return None;
    }
    let mut parts = text.split(',');
    let (whole, rest) = (parts.next().unwrap_or(""), parts.collect::<Vec<_>>());
    let grouped = |part: &&str| part.split('.').next().is_some_and(|digits| digits.len() == 3);
    match rest.as_slice() {
        [decimals] if !text.contains('.') && decimals.len() != 3 => Some(format!("{whole}.{decimals}")),
        groups if groups.iter().all(grouped) => Some(text.replace(',', "")),
        _ => None,
    }
}

/// A day.
pub fn date(text: &str) -> Option<NaiveDate> {
    let text = text.trim();
    let has_year = text.split(['-', '/', '.']).any(|part| part.len() == 4);
    let day = || DATE_FORMATS.iter().find_map(|format| NaiveDate::parse_from_str(text, format).ok());
    has_year.then(day).flatten()
}

/// A time of day.
pub fn time(text: &str) -> Option<NaiveTime> {
    let text = text.trim();
    TIME_FORMATS.iter().find_map(|format| NaiveTime::parse_from_str(text, format).ok())
}

/// A moment: RFC 3339, or a day or local time in `timezone`.
pub fn moment(text: &str, timezone: Tz) -> Option<DateTime<Utc>> {
    let text = text.trim();
    if let Ok(moment) = DateTime::parse_from_rfc3339(text) {
        return Some(moment.with_timezone(&Utc));
    }
    let local = LOCAL_FORMATS.iter().find_map(|format| NaiveDateTime::parse_from_str(text, format).ok());
    let local = local.or_else(|| Some(date(text)?.and_time(NaiveTime::MIN)))?;
    Some(local_time::moment(local, timezone))
}

/// A mail address.
pub fn email(text: &str) -> Option<String> {
    let text = text.trim();
    let good = text.len() <= 254 && EMAIL.as_ref().is_some_and(|regex| regex.is_match(text));
    good.then(|| text.to_owned())
}

/// A phone number in E.164.
pub fn phone(text: &str) -> Option<String> {
    Phone::parse(text).ok().map(|phone| phone.to_string())
}

/// A yes or a no.
pub fn boolean(text: &str) -> Option<bool> {
    match text.trim().to_lowercase().as_str() {
        "true" | "yes" | "1" | "on" => Some(true),
        "false" | "no" | "0" | "off" => Some(false),
        _ => None,
    }
}

/// A value as the text it renders to: nothing for null, JSON for arrays and objects.
pub fn text_of(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_as_people_write_them() {
        let read = |text| number(text).map(|n| n.to_string());
        for (text, expected) in [
            ("12", "12"),
            (" -3.5 ", "-3.5"),
            ("1,200", "1200"),
            ("1,200.50", "1200.5"),
            ("12,5", "12.5"),
            ("1,234,567", "1234567"),
            ("+7", "7"),
        ] {
            assert_eq!(read(text).as_deref(), Some(expected), "{text}");
        }
        for text in ["", "-", ",", "1e5", "inf", "NaN", "twelve", "1,2,3", "1.2.3", "12 apples"] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn days_and_times() {
        let day = NaiveDate::from_ymd_opt(2026, 3, 9);
        for text in ["2026-03-09", "09/03/2026", "9.3.2026", "09-03-2026"] {
            assert_eq!(date(text), day, "{text}");
        }
        for text in ["09/03/26", "2026-13-01", "30/02/2026", "soon"] {
            assert_eq!(date(text), None, "{text}");
        }
        assert_eq!(time("9:30"), NaiveTime::from_hms_opt(9, 30, 0));
        assert_eq!(time("9:30 pm"), NaiveTime::from_hms_opt(21, 30, 0));
        assert_eq!(time("25:00"), None);
    }

    #[test]
    fn a_day_begins_at_midnight_of_its_place() {
        let moment = moment("2026-07-01", chrono_tz::Asia::Jerusalem).map(|m| m.to_rfc3339());
        assert_eq!(moment.as_deref(), Some("2026-06-30T21:00:00+00:00"));
    }

    #[test]
    fn mail_addresses() {
        assert_eq!(email(" dana@example.co.il "), Some("dana@example.co.il".to_owned()));
        for text in ["dana", "dana@", "@example.com", "dana@example", "a b@c.de", "a@b..c"] {
            assert_eq!(email(text), None, "{text}");
        }
    }
}
