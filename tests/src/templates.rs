//! Templates, and what the people at Meta do with them.

use reqwest::Method;
use serde_json::{Value, json};

use crate::app::{Answer, SignedIn, TestApp, eventually};

/// The WhatsApp Business Account of the line every seeded account sends on.
pub const WABA: &str = "200000000000002";

/// The template of the reference, under a name.
pub fn hebrew(name: &str) -> Value {
    json!({
        "name": name, "category": "UTILITY", "language": "he",
        "components": [
            { "type": "HEADER", "format": "TEXT", "text": "תור נקבע!" },
            { "type": "BODY", "text": "שלום {{1}}, התור שלך נקבע ל-{{2}} בשעה {{3}}. נשמח לראות אותך!",
              "example": { "body_text": [["שרה", "יום שלישי 28/05", "10:00"]] } },
            { "type": "FOOTER", "text": "סלון אופרה לונדון" },
            { "type": "BUTTONS", "buttons": [
                { "type": "QUICK_REPLY", "text": "מאשרת" }, { "type": "QUICK_REPLY", "text": "צריכה לשנות" }] }
        ]
    })
}

/// The same with other members.
pub fn hebrew_with(name: &str, extra: Value) -> Value {
    let mut template = hebrew(name);
    template.as_object_mut().expect("members").extend(extra.as_object().cloned().unwrap_or_default());
    template
}

/// Which fields an answer complains about.
pub fn fields(answer: &Answer) -> Vec<String> {
    let problems = answer.body["problems"].as_array().into_iter().flatten();
    problems.map(|it| it["field"].as_str().unwrap_or_default().to_owned()).collect()
}

impl TestApp {
    /// Somebody at Meta decides about a template; Meta tells by webhook.
    pub async fn meta_decides(&self, name: &str, decision: &Value) {
        self.call(Method::POST, &format!("/sandbox/templates/{name}"), Some(decision), &[]).await.ok();
    }

    /// Somebody makes a template at Meta.
    pub async fn made_at_meta(&self, template: &Value) {
        self.call(Method::POST, &format!("/sandbox/accounts/{WABA}/templates"), Some(template), &[]).await.ok();
    }

    /// What Meta has of the account, and how often it was listed.
    pub async fn at_meta(&self) -> Value {
        let all = self.call(Method::GET, "/sandbox/templates", None, &[]).await.ok();
        let mut accounts = all.as_array().into_iter().flatten();
        accounts.find(|account| account["wabaId"] == WABA).cloned().unwrap_or_default()
    }

    /// Lets what came of the last sync grow old, so that the next one asks Meta.
    pub async fn forget_the_last_sync(&self) {
        let forget = sqlx::query("update template_accounts set attempted_at = null");
        forget.execute(&self.database.pool).await.expect("an update");
    }

    /// Submits a template and has it approved; its id.
    pub async fn approves(&self, owner: &SignedIn, template: &Value) -> String {
        let row = owner.submits(template).await;
        let name = row["name"].as_str().expect("a name").to_owned();
        self.meta_decides(&name, &json!({ "event": "APPROVED", "language": row["language"] })).await;
        owner.template_is(&name, "status", "APPROVED").await;
        row["id"].as_str().expect("an id").to_owned()
    }

    /// A person sends a customer a template, who wrote before; the message, once it stands so.
    pub async fn is_sent(&self, sender: &SignedIn, phone: &str, template: &Value, status: &str) -> Value {
        let conversation = sender.conversation_with(phone).await;
        let path = format!("/api/conversations/{}", conversation["id"].as_str().expect("an id"));
        let reply = json!({ "messageType": "template", "templateName": template["name"],
                            "templateLanguage": template["language"], "templateParams": ["a", "b", "c"] });
        let answer = sender.post(&format!("{path}/reply"), &reply).await;
        // One that fails may have failed by now.
        assert!(answer.status.is_success() || status == "failed", "{}", answer.text);
        eventually(&format!("a template to {phone} that is {status}"), async || {
            let shown = sender.get(&path).await.ok();
            let messages = shown["messages"].as_array()?.clone();
            messages.into_iter().rev().find(|it| it["type"] == "template").filter(|it| it["status"] == status)
        })
        .await
    }

    /// How many events of this type there are.
    pub async fn events(&self, kind: &str) -> i64 {
        let count = sqlx::query_scalar("select count(*) from events where event_type = $1").bind(kind);
        count.fetch_one(&self.database.pool).await.expect("a count")
    }
}

impl SignedIn {
    /// Submits a template that is fine; its row.
    pub async fn submits(&self, template: &Value) -> Value {
        let answer = self.post("/api/templates", template).await;
        assert_eq!(answer.status.as_u16(), 201, "{}", answer.text);
        answer.body
    }

    /// The template's row, if it is listed.
    pub async fn template(&self, name: &str) -> Option<Value> {
        let list = self.get(&format!("/api/templates?name={name}")).await.ok();
        list["templates"].as_array()?.first().cloned()
    }

    /// Waits until a member of the template's row is so; the row.
    pub async fn template_is(&self, name: &str, member: &str, value: impl Into<Value>) -> Value {
        let value = value.into();
        eventually(&format!("{name} with {member} {value}"), async || {
            self.template(name).await.filter(|row| row[member] == value)
        })
        .await
    }
}
