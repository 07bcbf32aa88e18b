//! Asks a question, and asks again until the answer is of the kind it expects.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::flow::engine::Input;
use crate::flow::nodes::send_text::{TEXT_MAX, say};
use crate::flow::nodes::{Next, NodeKind, Step};
use crate::flow::validation::Report;
use crate::flow::{pattern, typed};
use crate::shared::inbound::InboundMessage;
use crate::reason;

string_enum! {
    /// What kind of answer is expected, and what is saved of it.
    Expect {
        /// The text.
        Text = "text",
        /// A JSON number.
        Number = "number",
        /// The address.
        Email = "email",
        /// The number in E.164.
        Phone = "phone",
        /// `YYYY-MM-DD`.
        Date = "date",
        /// `HH:MM`.
        Time = "time",
        /// `{latitude, longitude, …}`.
        Location = "location",
        /// `{id, mimeType, …}`.
        Media = "media",
        /// The text, or else the place or the file.
        Any = "any",
    }
}

/// `{"text": "How old are you?", "saveAs": "age", "expect": "number", "min": 18, "max": 120,
/// "retryText": "A number, please.", "maxRetries": 2, "timeoutSec": 3600}`
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Ask {
    /// The question.
    pub text: String,
    /// The variable that takes the answer.
    pub save_as: Option<String>,
    /// What kind of answer it takes.
    pub expect: Expect,
    /// The least number, or the least characters of a text.
    pub min: Option<f64>,
    /// The greatest number, or the most characters of a text.
    pub max: Option<f64>,
    /// A regular expression the text of the answer must match.
    pub pattern: Option<String>,
    /// What is said to a wrong answer; the question again when absent.
    pub retry_text: Option<String>,
    /// How often it asks again before it leaves by `invalid`.
    pub max_retries: u32,
    /// How long it waits each time; as long as the run may when absent or 0.
    pub timeout_sec: Option<u32>,
}

impl Default for Ask {
    fn default() -> Self {
        Self {
            text: String::new(),
            save_as: None,
            expect: Expect::Text,
            min: None,
            max: None,
            pattern: None,
            retry_text: None,
            max_retries: 2,
            timeout_sec: None,
        }
    }
}

impl Ask {
    /// The value of an answer that is of the expected kind and within its bounds.
    fn read(&self, reply: &InboundMessage) -> Option<Value> {
        let text = reply.text.as_deref().unwrap_or_default().trim();
        let value = self.value(text, reply)?;
        let size = match &value {
            Value::Number(number) => number.as_f64(),
            Value::String(_) if self.counts_characters() => Some(text.chars().count() as f64),
            Value::Null | Value::Bool(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => None,
        };
        let within =
            size.is_none_or(|size| self.min.is_none_or(|min| size >= min) && self.max.is_none_or(|max| size <= max));
        let matches = self.wanted_pattern().is_none_or(|pattern| pattern::found(pattern, text));
        (within && matches).then_some(value)
    }

    fn value(&self, text: &str, reply: &InboundMessage) -> Option<Value> {
        let written = || (!text.is_empty()).then(|| Value::String(text.to_owned()));
        let place = || reply.location.as_ref().map(|place| json!(place));
        let file = || reply.media.as_ref().map(|media| json!(media));
        match self.expect {
            Expect::Text => written(),
            Expect::Number => typed::number(text).map(Value::Number),
            Expect::Email => typed::email(text).map(Value::String),
            Expect::Phone => typed::phone(text).map(Value::String),
            Expect::Date => typed::date(text).map(|day| Value::String(day.to_string())),
            Expect::Time => typed::time(text).map(|time| Value::String(time.format("%H:%M").to_string())),
            Expect::Location => place(),
            Expect::Media => file(),
            Expect::Any => written().or_else(place).or_else(file).or_else(|| Some(json!(""))),
        }
    }

    fn counts_characters(&self) -> bool {
        matches!(self.expect, Expect::Text | Expect::Any)
    }

    fn wanted_pattern(&self) -> Option<&str> {
        self.pattern.as_deref().filter(|pattern| !pattern.is_empty())
    }

    fn retry(&self, step: &mut Step<'_>) -> Next {
        let refused = step.wait().map_or(0, |wait| wait.refused);
        if refused >= self.max_retries {
            return Next::exit("invalid");
        }
        let text = self.retry_text.as_deref().filter(|text| !text.is_empty()).unwrap_or(&self.text);
        say(step, text, false);
        step.await_reply(self.timeout_sec, refused + 1)
    }
}

impl NodeKind for Ask {
    fn exits(&self) -> Vec<String> {
        ["answered", "invalid", "timeout"].map(str::to_owned).into()
    }

    fn check(&self, report: &mut Report<'_>) {
        report.shown("text", &self.text, TEXT_MAX);
        report.shown_if_any("retryText", self.retry_text.as_deref(), TEXT_MAX);
        if let Some(pattern) = self.wanted_pattern() {
            report.pattern("pattern", pattern);
        }
        if self.min.zip(self.max).is_some_and(|(min, max)| min > max) {
            report.problem("min", reason!("min_above_max", "must not be greater than `max`"));
        }
    }

    fn waits(&self) -> bool {
        true
    }

    fn enter(&self, step: &mut Step<'_>) -> Next {
        say(step, &self.text, false);
        step.await_reply(self.timeout_sec, 0)
    }

    fn resume(&self, step: &mut Step<'_>, input: &Input<'_>) -> Next {
        match input {
            Input::Reply(reply) if reply.kind.is_speech() => match self.read(reply) {
                Some(value) => {
                    step.save(self.save_as.as_deref(), value);
                    Next::exit("answered")
                }
                None => self.retry(step),
            },
            Input::Timeout => Next::exit("timeout"),
            Input::Reply(_) | Input::Start | Input::Delivery(_) => step.keep_waiting(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::nodes::testing;

    fn read(data: Value, message: Value) -> Option<Value> {
        testing::node::<Ask>(data).read(&testing::inbound(message))
    }

    fn typed_as(expect: &str, text: &str) -> Option<Value> {
        read(json!({"expect": expect}), json!({"text": text}))
    }

    #[test]
    fn an_answer_is_saved_as_what_it_means() {
        assert_eq!(typed_as("text", " hi "), Some(json!("hi")));
        assert_eq!(typed_as("number", "42"), Some(json!(42)));
        assert_eq!(typed_as("number", "4.5"), Some(json!(4.5)));
        assert_eq!(typed_as("email", "d@x.io"), Some(json!("d@x.io")));
        assert_eq!(typed_as("phone", "+972 50-123-4567"), Some(json!("+972501234567")));
        assert_eq!(typed_as("date", "9/3/2026"), Some(json!("2026-03-09")));
        assert_eq!(typed_as("time", "9:05"), Some(json!("09:05")));
        let place = json!({"latitude": 32.1, "longitude": 34.8});
        assert_eq!(read(json!({"expect": "location"}), json!({"kind": "location", "location": place})), Some(place));
        let file = json!({"id": "7", "mimeType": "image/png"});
        assert_eq!(read(json!({"expect": "media"}), json!({"kind": "image", "media": file})), Some(file.clone()));
        assert_eq!(read(json!({"expect": "any"}), json!({"kind": "image", "media": file})), Some(file));
    }

    #[test]
    fn an_answer_of_another_kind_is_refused() {
        for (expect, text) in [
            ("text", " "),
            ("number", "many"),
            ("email", "d@"),
            ("phone", "050"),
            ("date", "soon"),
            ("time", "noon"),
            ("location", "here"),
            ("media", "file.png"),
        ] {
            assert_eq!(typed_as(expect, text), None, "{expect}");
        }
    }

    #[test]
    fn bounds_are_of_numbers_or_of_characters() {
        let number = json!({"expect": "number", "min": 18, "max": 120});
        assert_eq!(read(number.clone(), json!({"text": "18"})), Some(json!(18)));
        assert_eq!(read(number.clone(), json!({"text": "17"})), None);
        assert_eq!(read(number, json!({"text": "121"})), None);
        assert_eq!(read(json!({"min": 3}), json!({"text": "שם"})), None);
        assert_eq!(read(json!({"max": 3}), json!({"text": "שלום"})), None);
        assert_eq!(read(json!({"pattern": "^[a-z]+$"}), json!({"text": "ab1"})), None);
    }

    #[test]
    fn it_is_checked() {
        let node: Ask = testing::node(json!({"min": 2, "max": 1, "pattern": "(", "retryText": "{{"}));
        assert_eq!(testing::wrong_fields(&node), ["text", "retryText", "pattern", "min"]);
    }
}
