//! Webhooks about templates (Meta, webhooks/reference: message_template_status_update, message_template_quality_update,
//! template_category_update, message_template_components_update). They name a WhatsApp Business Account, not a line.

use application::templates::hear::TemplateNews;
use chrono::{DateTime, Utc};
use domain::template::Quality;
use domain::template::approval::Rejection;
use domain::template::category::Category;
use domain::template::command::{News, StatusNews, Texts};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::wire;

/// The fields that are about templates.
pub(super) const FIELDS: [&str; 4] = [
    "message_template_status_update",
    "message_template_quality_update",
    "template_category_update",
    "message_template_components_update",
];

/// Reads a change; the reason when it cannot be understood.
pub(super) fn of_change(
    field: &str,
    waba_id: Option<String>,
    at: Option<DateTime<Utc>>,
    value: &Map<String, Value>,
) -> Result<TemplateNews, &'static str> {
    let element = Value::Object(value.clone());
    let waba_id = waba_id.ok_or("template news without a WhatsApp Business Account")?;
    let name = wire::text(&element, &["message_template_name"]).ok_or("template news without a name")?;
    let language = wire::text(&element, &["message_template_language"]).ok_or("template news without a language")?;
    let news = match field {
        "message_template_status_update" => status(&element).ok_or("template news without an event")?,
        "message_template_quality_update" => {
            let score = wire::text(&element, &["new_quality_score"]);
            News::Quality(Quality::from(score.ok_or("template news without a quality")?))
        }
        "template_category_update" => category(&element).ok_or("template news without a category")?,
        _ => News::Texts(texts(&element)),
    };
    let key = json!([field, waba_id, at.map(|at| at.timestamp_millis()), element]).to_string();
    let key = Uuid::new_v5(&Uuid::NAMESPACE_OID, key.as_bytes()).to_string();
    let (language, provider_id) = (language.replace('-', "_"), wire::text(&element, &["message_template_id"]));
    Ok(TemplateNews { waba_id, name, language, provider_id, news, told_at: at, key, element })
}

fn status(value: &Value) -> Option<News> {
    let told = |name: &str| value.get(name).filter(|it| !it.is_null()).map(|it| (name.to_owned(), it.clone()));
    let notice: Map<String, Value> = ["other_info", "disable_info"].into_iter().filter_map(told).collect();
    let rejection = Rejection {
        reason: wire::text(value, &["reason"]).filter(|reason| reason != "NONE"),
        explanation: wire::text(value, &["rejection_info", "reason"]),
        recommendation: wire::text(value, &["rejection_info", "recommendation"]),
    };
    Some(News::Status(StatusNews {
        word: wire::text(value, &["event"])?,
        title: wire::text(value, &["other_info", "title"]),
        rejection: rejection.told(),
        notice: (!notice.is_empty()).then_some(Value::Object(notice)),
        category: wire::text(value, &["message_template_category"]).map(Category::from),
    }))
}

/// `new_category` is the category now; `correct_category` beside another one is the one to come.
fn category(value: &Value) -> Option<News> {
    let now = wire::text(value, &["new_category"]).map(Category::from);
    let correct = wire::text(value, &["correct_category"]).map(Category::from);
    (now.is_some() || correct.is_some()).then_some(News::Category { now, correct })
}

fn texts(value: &Value) -> Texts {
    let buttons =
        value.get("message_template_buttons").map(|list| wire::elements(Some(list)).iter().map(button).collect());
    Texts {
        header: wire::text(value, &["message_template_title"]),
        body: wire::text(value, &["message_template_element"]),
        footer: wire::text(value, &["message_template_footer"]),
        buttons,
    }
}

/// A button, in the shape components have: the members without the webhook's prefix.
fn button(told: &Value) -> Value {
    let members = told.as_object().into_iter().flatten().map(|(name, value)| {
        let name = name.strip_prefix("message_template_button_").unwrap_or(name);
        (name.to_owned(), value.clone())
    });
    Value::Object(members.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(field: &str, value: Value) -> Result<TemplateNews, &'static str> {
        let at = DateTime::from_timestamp(1_751_247_548, 0);
        of_change(field, Some("1022".into()), at, value.as_object().unwrap())
    }

    #[test]
    fn the_same_news_have_the_same_key_and_others_another() {
        let value = |word: &str| {
            json!({ "event": word, "message_template_id": 1, "message_template_name": "a",
                    "message_template_language": "en-US", "reason": "NONE" })
        };
        let one = read(FIELDS[0], value("APPROVED")).unwrap();
        assert_eq!((one.name.as_str(), one.language.as_str()), ("a", "en_US"));
        assert_eq!(one.key, read(FIELDS[0], value("APPROVED")).unwrap().key);
        assert_ne!(one.key, read(FIELDS[0], value("PAUSED")).unwrap().key);
        let News::Status(status) = one.news else { panic!("a status") };
        assert_eq!((status.word.as_str(), status.rejection), ("APPROVED", None));
    }

    #[test]
    fn what_is_missing_is_told() {
        let bare = json!({ "message_template_name": "a", "message_template_language": "he" });
        for field in [FIELDS[0], FIELDS[1], FIELDS[2]] {
            assert!(read(field, bare.clone()).is_err(), "{field}");
        }
        assert_eq!(read(FIELDS[0], json!({ "event": "APPROVED" })), Err("template news without a name"));
    }

    #[test]
    fn components_come_in_their_own_shape() {
        let told = json!({ "message_template_name": "a", "message_template_language": "en",
            "message_template_element": "Hi {{1}}!", "message_template_buttons": [
                { "message_template_button_type": "URL", "message_template_button_text": "Go",
                  "message_template_button_url": "https://x" }] });
        let News::Texts(texts) = read(FIELDS[3], told).unwrap().news else { panic!("texts") };
        assert_eq!(texts.body.as_deref(), Some("Hi {{1}}!"));
        assert_eq!(texts.buttons, Some(vec![json!({ "type": "URL", "text": "Go", "url": "https://x" })]));
    }
}
