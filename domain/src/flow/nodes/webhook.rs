//! What the triggers that other systems call share: who may call, and how the payload becomes variables.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::flow::run::Variables;
use crate::flow::validation::{Problem, Report};
use crate::flow::{template, typed};
use crate::reason;
use crate::shared::reason::Reason;

string_enum! {
    /// What a field of a payload is read as.
    FieldType {
        Text = "text", Number = "number", Boolean = "boolean",
        /// Kept as `YYYY-MM-DD`.
        Date = "date",
        /// Kept in E.164.
        Phone = "phone",
        Email = "email",
    }
}

/// One field of the payload: `{"from": "customer.tel", "to": "phone", "required": true, "type": "phone"}`.
#[derive(Debug, Clone, Deserialize, Serialize)]
pub struct MappedField {
    /// Its path in the payload.
    pub from: String,
    /// The variable; the path itself when absent.
    #[serde(default)]
    pub to: Option<String>,
    /// Whether a payload without it is refused.
    #[serde(default)]
    pub required: bool,
    /// What it is read as; kept as it is when absent.
    #[serde(default, rename = "type")]
    pub field_type: Option<FieldType>,
}

/// Who may call: `{"mode": "api_key", "apiKey": "…", "headerName": "X-API-Key"}`.
#[derive(Clone, Default, Deserialize, Serialize)]
#[serde(tag = "mode", rename_all = "snake_case", rename_all_fields = "camelCase")]
pub enum Auth {
    /// A user of the account, by access token.
    #[default]
    Jwt,
    /// Whoever sends the key in a header.
    ApiKey {
        /// The key.
        #[serde(default)]
        api_key: String,
        /// The header.
        #[serde(default = "default_header")]
        header_name: String,
    },
    /// HTTP basic authentication.
    Basic {
        /// The user name.
        #[serde(default)]
        username: String,
        /// The password.
        #[serde(default)]
        password: String,
    },
    /// A fixed bearer token.
    Bearer {
        /// The token.
        #[serde(default)]
        token: String,
    },
    /// `X-Signature-256`: the HMAC-SHA256 of the body in hex, with or without `sha256=` before it. With `X-Timestamp`
    /// (seconds since 1970) it is over `<timestamp>.<body>`, good for five minutes either way and for one call; without
    /// one it is good for ever.
    Hmac {
        /// The key of the HMAC.
        #[serde(default)]
        secret: String,
    },
    /// Anyone who knows the address; no other mode, and no auth that is left out, comes to this.
    None,
}

fn default_header() -> String {
    "X-API-Key".to_owned()
}

/// Names the mode; the secrets stay out of logs.
impl std::fmt::Debug for Auth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Jwt => "Jwt",
            Self::ApiKey { .. } => "ApiKey(…)",
            Self::Basic { .. } => "Basic(…)",
            Self::Bearer { .. } => "Bearer(…)",
            Self::Hmac { .. } => "Hmac(…)",
            Self::None => "None",
        })
    }
}

impl Auth {
    fn check(&self, report: &mut Report<'_>) {
        match self {
            Self::Jwt => {}
            Self::ApiKey { api_key, header_name } => {
                report.required("auth.apiKey", api_key);
                report.required("auth.headerName", header_name);
            }
            Self::Basic { username, password } => {
                report.required("auth.username", username);
                report.required("auth.password", password);
            }
            Self::Bearer { token } => report.required("auth.token", token),
            Self::Hmac { secret } => report.required("auth.secret", secret),
            Self::None => {
                report.warn("auth.mode", reason!("open_to_all", "anyone who knows the address can start this flow"))
            }
        }
    }
}

/// The data of both triggers: `{"mapping": [{"from": "tel", "to": "phone"}], "auth": {"mode": "jwt"}}`.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct Webhook {
    /// Fields that are renamed, typed or required.
    pub mapping: Vec<MappedField>,
    /// Who may call.
    pub auth: Auth,
}

impl Webhook {
    /// What is wrong with it.
    pub fn check(&self, report: &mut Report<'_>) {
        for (index, field) in self.mapping.iter().enumerate() {
            report.required(&format!("mapping[{index}].from"), &field.from);
        }
        self.auth.check(report);
    }

    /// The variables a payload gives: the mapped fields under their new names, the others as they are.
    ///
    /// # Errors
    /// Every required field that is missing and every field that is not of its type.
    pub fn map_payload(&self, payload: &Map<String, Value>) -> Result<Variables, Vec<Problem>> {
        let whole = Value::Object(payload.clone());
        let mut variables = payload.clone();
        for field in &self.mapping {
            variables.remove(&field.from);
        }
        let mut problems = Vec::new();
        for field in &self.mapping {
            let found = payload.get(&field.from).or_else(|| template::at(&whole, &field.from));
            match field.read(found) {
                Ok(Some(value)) => drop(variables.insert(field.name().to_owned(), value)),
                Ok(None) => {}
                Err(reason) => problems.push(Problem::of_field(&field.from, reason)),
            }
        }
        if problems.is_empty() { Ok(variables) } else { Err(problems) }
    }
}

impl MappedField {
    fn name(&self) -> &str {
        self.to.as_deref().filter(|to| !to.is_empty()).unwrap_or(&self.from)
    }

    fn read(&self, found: Option<&Value>) -> Result<Option<Value>, Reason> {
        let empty = |value: &&Value| value.is_null() || value.as_str().is_some_and(|text| text.trim().is_empty());
        let Some(value) = found.filter(|value| !empty(value)) else {
            return if self.required { Err(reason!("required", "is required")) } else { Ok(found.cloned()) };
        };
        let Some(field_type) = self.field_type else { return Ok(Some(value.clone())) };
        let typed =
            field_type.read(value).ok_or_else(|| reason!("wrong_type", "is not of type {kind}", kind = field_type))?;
        Ok(Some(typed))
    }
}

impl FieldType {
    fn read(self, value: &Value) -> Option<Value> {
        let text = typed::text_of(value);
        match self {
            Self::Text => Some(Value::String(text)),
            Self::Number => {
                value.is_number().then(|| value.clone()).or_else(|| typed::number(&text).map(Value::Number))
            }
            Self::Boolean => typed::boolean(&text).map(Value::Bool),
            Self::Date => typed::date(text.get(..10).unwrap_or(&text)).map(|day| Value::String(day.to_string())),
            Self::Phone => typed::phone(&text).map(Value::String),
            Self::Email => typed::email(&text).map(Value::String),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::flow::nodes::testing::node;

    fn mapped(webhook: Value, payload: Value) -> Result<Value, Vec<Option<String>>> {
        let webhook: Webhook = node(webhook);
        let mapped = webhook.map_payload(payload.as_object().unwrap());
        mapped.map(Value::Object).map_err(|problems| problems.into_iter().map(|it| it.field).collect())
    }

    #[test]
    fn without_a_mapping_every_field_is_a_variable() {
        let payload = json!({"name": "Dana", "order": {"id": 7}});
        assert_eq!(mapped(json!({}), payload.clone()), Ok(payload));
    }

    #[test]
    fn mapped_fields_are_renamed_and_typed_and_the_others_pass() {
        let mapping = json!({"mapping": [
            {"from": "customer.tel", "to": "phone", "type": "phone", "required": true},
            {"from": "sum", "to": "total", "type": "number"},
            {"from": "vip", "type": "boolean"},
            {"from": "day", "type": "date"},
            {"from": "zip", "type": "text"},
            {"from": "nothing"},
        ]});
        let payload = json!({
            "customer": {"tel": "+972 50-123-4567"}, "sum": "1,200.50", "vip": "yes", "day": "2026-03-09T10:00:00Z",
            "zip": 12345, "note": "as it is",
        });
        let expected = json!({
            "customer": {"tel": "+972 50-123-4567"}, "phone": "+972501234567", "total": 1200.5, "vip": true,
            "day": "2026-03-09", "zip": "12345", "note": "as it is",
        });
        assert_eq!(mapped(mapping, payload), Ok(expected));
    }

    #[test]
    fn everything_wrong_is_told_at_once() {
        let mapping = json!({"mapping": [
            {"from": "name", "required": true}, {"from": "mail", "type": "email"}, {"from": "sum", "type": "number"},
        ]});
        let wrong = mapped(mapping, json!({"name": " ", "mail": "no", "sum": 1}));
        assert_eq!(wrong, Err(vec![Some("name".into()), Some("mail".into())]));
    }

    #[test]
    fn who_may_call_is_read_and_checked() {
        let wrong = |auth: Value| {
            let mut report = Report::new("1");
            node::<Webhook>(json!({"auth": auth})).check(&mut report);
            report.into_parts().0.into_iter().filter_map(|problem| problem.field).collect::<Vec<_>>()
        };
        assert!(matches!(node::<Webhook>(json!({})).auth, Auth::Jwt));
        assert!(wrong(json!({"mode": "api_key", "apiKey": "k"})).is_empty());
        assert_eq!(wrong(json!({"mode": "basic"})), ["auth.username", "auth.password"]);
        assert_eq!(wrong(json!({"mode": "hmac"})), ["auth.secret"]);
        assert!(wrong(json!({"mode": "none"})).is_empty());
    }

    #[test]
    fn secrets_stay_out_of_logs() {
        let auth: Auth = node(json!({"mode": "bearer", "token": "s3cret"}));
        assert!(!format!("{auth:?}").contains("s3cret"));
    }
}
