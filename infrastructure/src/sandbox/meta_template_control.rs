//! What the people at Meta do with a template: approve, reject, pause, recategorise, rate, change it. Meta tells by
//! webhook, unless it is asked to keep quiet.

use serde::Deserialize;
use serde_json::{Value, json};

use super::meta_templates::Templates;

/// A decision about a template. One of `event`, `category`, `correctCategory`, `quality`, `bodyText`, `gone`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Decision {
    pub waba_id: Option<String>,
    pub language: Option<String>,
    /// A word such as `APPROVED`, `REJECTED`, `PAUSED`.
    event: Option<String>,
    /// Beside a pause: `FIRST_PAUSE`, `SECOND_PAUSE`, `UNPAUSE`.
    title: Option<String>,
    /// Beside a rejection: Meta's word, and what is wrong.
    reason: Option<String>,
    explanation: Option<String>,
    recommendation: Option<String>,
    category: Option<String>,
    correct_category: Option<String>,
    quality: Option<String>,
    body_text: Option<String>,
    /// The account's people deleted it at Meta; no webhook tells.
    #[serde(default)]
    gone: bool,
    /// No webhook tells.
    #[serde(default)]
    quiet: bool,
    /// How often the webhook is delivered.
    deliveries: Option<usize>,
}

/// The webhook a decision leads to.
pub(super) struct Telling {
    pub waba: String,
    pub field: &'static str,
    pub value: Value,
    pub deliveries: usize,
}

/// Takes the decision; what is to be told, or why it cannot be taken.
pub(super) fn decide(templates: &mut Templates, name: &str, wish: &Decision) -> Result<Option<Telling>, &'static str> {
    let found = templates.find(wish.waba_id.as_deref(), name, wish.language.as_deref());
    let (waba, kept) = found.ok_or("there is no such template")?;
    let mut value = json!({ "message_template_id": kept.id.parse::<u64>().unwrap_or_default(),
                            "message_template_name": kept.name, "message_template_language": kept.language });
    let field = if let Some(event) = &wish.event {
        let back = wish.title.as_deref() == Some("UNPAUSE") || matches!(event.as_str(), "REINSTATED" | "UNARCHIVED");
        kept.status = if back { "APPROVED".to_owned() } else { event.clone() };
        kept.was_approved |= kept.status == "APPROVED";
        kept.rejected_reason = wish.reason.clone().unwrap_or_else(|| "NONE".to_owned());
        value["event"] = json!(event);
        value["reason"] = json!(kept.rejected_reason);
        value["message_template_category"] = json!(kept.category);
        if let Some(title) = &wish.title {
            value["other_info"] = json!({ "title": title, "description": "played by the sandbox" });
        }
        if let Some(explanation) = &wish.explanation {
            value["rejection_info"] = json!({ "reason": explanation, "recommendation": wish.recommendation });
        }
        "message_template_status_update"
    } else if wish.category.is_some() || wish.correct_category.is_some() {
        value["previous_category"] = json!(kept.category);
        kept.category = wish.category.clone().unwrap_or_else(|| kept.category.clone());
        value["new_category"] = json!(kept.category);
        if let Some(correct) = &wish.correct_category {
            value["correct_category"] = json!(correct);
        }
        "template_category_update"
    } else if let Some(quality) = &wish.quality {
        value["previous_quality_score"] = json!(kept.quality);
        value["new_quality_score"] = json!(quality);
        kept.quality = quality.clone();
        "message_template_quality_update"
    } else if let Some(text) = &wish.body_text {
        let list = kept.components.as_array_mut().into_iter().flatten();
        list.filter(|it| it["type"] == "BODY").for_each(|it| it["text"] = json!(text));
        value["message_template_element"] = json!(text);
        "message_template_components_update"
    } else if wish.gone {
        let id = kept.id.clone();
        let deleted = templates.delete(&waba, name, Some(&id), chrono::Utc::now());
        return deleted.map(|()| None).map_err(|_| "it cannot be deleted");
    } else {
        return Err("one of event, category, correctCategory, quality, bodyText, gone");
    };
    let deliveries = wish.deliveries.unwrap_or(1);
    Ok((!wish.quiet).then_some(Telling { waba, field, value, deliveries }))
}
