//! Meta's webhooks, made and signed by hand.

use hmac::{Hmac, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::app::{Answer, LINE, TestApp};

/// `X-Hub-Signature-256` of these bytes.
pub fn signature(secret: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("any length is a key");
    mac.update(body);
    format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
}

/// A webhook of one `value`.
pub fn envelope(value: &Value) -> Value {
    json!({ "object": "whatsapp_business_account",
            "entry": [{ "id": "200000000000002", "changes": [{ "field": "messages", "value": value }] }] })
}

/// A text message of a customer.
pub fn text_message(from: &str, wamid: &str, text: &str) -> Value {
    envelope(&json!({
        "messaging_product": "whatsapp",
        "metadata": { "display_phone_number": "15550001111", "phone_number_id": LINE },
        "contacts": [{ "profile": { "name": "Dana" }, "wa_id": from }],
        "messages": [{ "from": from, "id": wamid, "timestamp": now(), "type": "text", "text": { "body": text } }]
    }))
}

/// A status of one of our messages.
pub fn status(wamid: &str, recipient: &str, status: &str, correlation: Option<&str>) -> Value {
    let mut it = json!({ "id": wamid, "status": status, "timestamp": now(), "recipient_id": recipient });
    if let Some(correlation) = correlation {
        it["biz_opaque_callback_data"] = json!(correlation);
    }
    envelope(&json!({
        "messaging_product": "whatsapp",
        "metadata": { "display_phone_number": "15550001111", "phone_number_id": LINE },
        "statuses": [it]
    }))
}

/// A webhook about a WhatsApp Business Account, told so many seconds ago.
pub fn of_account(waba: &str, field: &str, value: &Value, ago: i64) -> Value {
    let time = chrono::Utc::now().timestamp() - ago;
    json!({ "object": "whatsapp_business_account",
            "entry": [{ "id": waba, "time": time, "changes": [{ "field": field, "value": value }] }] })
}

fn now() -> String {
    chrono::Utc::now().timestamp().to_string()
}

impl TestApp {
    /// Delivers a webhook as Meta would.
    pub async fn deliver(&self, webhook: &Value) -> Answer {
        let body = serde_json::to_vec(webhook).expect("JSON");
        let secret = self.config.meta.app_secret.as_ref().expect("an app secret").expose().clone();
        self.deliver_bytes(&body, Some(&signature(&secret, &body))).await
    }

    /// Delivers bytes with a signature of one's own.
    pub async fn deliver_bytes(&self, body: &[u8], signature: Option<&str>) -> Answer {
        let mut request =
            self.http.post(format!("{}/api/webhook/whatsapp", self.base)).header("content-type", "application/json");
        if let Some(signature) = signature {
            request = request.header("x-hub-signature-256", signature);
        }
        let response = request.body(body.to_vec()).send().await.expect("an answer");
        let (status, headers) = (response.status(), response.headers().clone());
        let text = response.text().await.unwrap_or_default();
        Answer { status, headers, body: serde_json::from_str(&text).unwrap_or_default(), text }
    }
}
