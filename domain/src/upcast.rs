//! Former shapes of events. What was stored once is read for ever: an event is brought, version by version, to the
//! shape this build writes. A golden file for every version ever written shows it.

use serde_json::Value;

use crate::appointment::event::AppointmentEvent;
use crate::conversation::event::ConversationEvent;
use crate::flow::event::FlowEvent;
use crate::lead::event::LeadEvent;
use crate::template::event::TemplateEvent;
use crate::template_group::event::TemplateGroupEvent;

/// How one version of an event becomes the next.
struct Upcaster {
    event_type: &'static str,
    from: &'static str,
    to: &'static str,
    upcast: fn(&mut Value),
}

/// Every step. A new one comes with the golden file of the version it leads to.
const UPCASTERS: &[Upcaster] = &[
    // The contact behind a lead was not recorded at first.
    Upcaster { event_type: "lead.captured", from: "1", to: "2", upcast: |event| event["contactId"] = Value::Null },
];

/// Why a stored event cannot be brought to today's shape.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UpcastError {
    /// No build ever wrote it, or only newer ones do.
    #[error("`{0}` is no event this build knows")]
    UnknownType(String),
    /// It was written by a newer build.
    #[error("version {version} of `{event_type}` is none this build knows")]
    UnknownVersion {
        /// The tag.
        event_type: String,
        /// The version.
        version: String,
    },
}

/// The version of an event's shape that this build writes.
fn current(event_type: &str) -> Option<&'static str> {
    let all = [
        FlowEvent::TAGS,
        ConversationEvent::TAGS,
        LeadEvent::TAGS,
        TemplateEvent::TAGS,
        TemplateGroupEvent::TAGS,
        AppointmentEvent::TAGS,
    ];
    all.into_iter().flatten().copied().find_map(|(tag, version)| (tag == event_type).then_some(version))
}

/// Whether the event has today's shape as it is stored.
///
/// # Errors
/// This build does not know its type.
pub fn is_current(event_type: &str, version: &str) -> Result<bool, UpcastError> {
    let current = current(event_type).ok_or_else(|| UpcastError::UnknownType(event_type.to_owned()))?;
    Ok(current == version)
}

/// Brings a stored event to today's shape.
///
/// # Errors
/// This build does not know its type or its version.
pub fn upcast(event_type: &str, version: &str, mut event: Value) -> Result<Value, UpcastError> {
    let mut version = version;
    while !is_current(event_type, version)? {
        let step = UPCASTERS.iter().find(|it| it.event_type == event_type && it.from == version);
        let step = step.ok_or_else(|| UpcastError::UnknownVersion {
            event_type: event_type.to_owned(),
            version: version.to_owned(),
        })?;
        (step.upcast)(&mut event);
        version = step.to;
    }
    Ok(event)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_former_shape_is_read_as_todays_and_unknown_ones_are_named() {
        let old = json!({ "type": "captured", "phone": "+972501234567" });
        assert_eq!(upcast("lead.captured", "1", old).unwrap()["contactId"], Value::Null);
        let today = json!({ "type": "captured", "contactId": "x" });
        assert_eq!(upcast("lead.captured", "2", today.clone()).unwrap(), today);
        let newer = upcast("lead.captured", "3", json!({})).unwrap_err();
        assert_eq!(newer.to_string(), "version 3 of `lead.captured` is none this build knows");
        assert_eq!(upcast("lead.sold", "1", json!({})), Err(UpcastError::UnknownType("lead.sold".to_owned())));
    }

    #[test]
    fn every_step_leads_on_to_todays_shape() {
        for step in UPCASTERS {
            assert!(upcast(step.event_type, step.from, json!({})).is_ok(), "{} {}", step.event_type, step.from);
        }
    }
}
