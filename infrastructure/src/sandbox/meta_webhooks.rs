//! Webhooks as Meta sends them: their shape, their signature, and the background task that keeps trying.

use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use domain::shared::delivery::DeliveryStatus;
use hmac::{Hmac, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

use super::{Shared, meta_numbers};

const TRIES: u32 = 7;
const FIRST_WAIT: Duration = Duration::from_millis(200);
const AT_ONCE: usize = 64;
const UNDER_WAY: usize = 100_000;

/// Webhooks that go out one after the other.
pub(super) type Parcel = Vec<Notice>;

/// One webhook.
pub(super) struct Notice {
    /// How long after the one before.
    pub delay: Duration,
    /// The bytes.
    pub body: Vec<u8>,
    /// How often it is delivered.
    pub copies: usize,
    /// What the phone shows once it goes out.
    pub told: Option<Told>,
}

/// A status, and of which message.
#[derive(Debug, Clone)]
pub(super) struct Told {
    pub customer: String,
    pub line: String,
    pub wamid: String,
    pub status: DeliveryStatus,
    pub code: Option<i64>,
    pub correlation: Option<String>,
}

/// The frame around what happened on a line.
pub(super) fn of_line(line: &str, mut value: Value) -> Vec<u8> {
    value["messaging_product"] = json!("whatsapp");
    value["metadata"] = json!({ "display_phone_number": "15550000000", "phone_number_id": line });
    let body = json!({ "object": "whatsapp_business_account",
        "entry": [{ "id": "100000000000000", "changes": [{ "field": "messages", "value": value }] }] });
    ascii(&body.to_string())
}

/// The frame around what happened to a WhatsApp Business Account.
pub(super) fn of_account(waba: &str, field: &str, value: &Value) -> Vec<u8> {
    let body = json!({ "object": "whatsapp_business_account",
        "entry": [{ "id": waba, "time": Utc::now().timestamp(), "changes": [{ "field": field, "value": value }] }] });
    ascii(&body.to_string())
}

/// The webhook of a status.
pub(super) fn of_status(told: &Told) -> Vec<u8> {
    let mut status = json!({ "id": told.wamid, "status": told.status.as_str(), "timestamp": seconds() });
    let recipient = if is_user_id(&told.customer) { "recipient_user_id" } else { "recipient_id" };
    status[recipient] = json!(told.customer);
    if let Some(correlation) = &told.correlation {
        status["biz_opaque_callback_data"] = json!(correlation);
    }
    match told.code {
        Some(code) => {
            let title = meta_numbers::error(code).map_or("Error", |(_, message)| message);
            status["errors"] = json!([{ "code": code, "title": title, "message": title,
                "error_data": { "details": format!("played by the sandbox: {title}") } }]);
        }
        None => {
            status["pricing"] = json!({ "billable": false, "pricing_model": "PMP",
                "type": "free_customer_service", "category": "service" });
        }
    }
    of_line(&told.line, json!({ "statuses": [status] }))
}

/// A business-scoped user id has a dot, a number has none.
pub(super) fn is_user_id(customer: &str) -> bool {
    customer.contains('.')
}

/// Now, as Meta writes it.
pub(super) fn seconds() -> String {
    Utc::now().timestamp().to_string()
}

/// JSON with what is not ASCII escaped: the bytes Meta signs (Meta, webhooks/create-webhook-endpoint).
fn ascii(json: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(json.len());
    for letter in json.chars() {
        if letter.is_ascii() {
            bytes.push(letter as u8);
        } else {
            let mut units = [0; 2];
            for unit in letter.encode_utf16(&mut units) {
                bytes.extend_from_slice(format!("\\u{unit:04x}").as_bytes());
            }
        }
    }
    bytes
}

/// The value of `X-Hub-Signature-256` for a body.
pub(super) fn signature(secret: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("HMAC takes a key of any length");
    mac.update(body);
    format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
}

/// Delivers a webhook once; the HTTP status, if there was an answer.
pub(super) async fn deliver(shared: &Shared, body: &[u8]) -> Option<u16> {
    let request = shared
        .http
        .post(&shared.config.webhook_url)
        .header("content-type", "application/json")
        .header("x-hub-signature-256", signature(&shared.config.app_secret, body))
        .body(body.to_vec());
    match request.send().await {
        Ok(answer) => Some(answer.status().as_u16()),
        Err(error) => {
            tracing::debug!(%error, "the sandbox could not deliver a webhook");
            None
        }
    }
}

/// Whether an answer to a webhook lets Meta rest.
pub(super) fn is_taken(status: Option<u16>) -> bool {
    status.is_some_and(|status| (200..300).contains(&status))
}

/// The background task: takes parcels until the sandbox is gone.
pub(super) async fn run(shared: Arc<Shared>, mut parcels: mpsc::Receiver<Parcel>) {
    let permits = Arc::new(Semaphore::new(AT_ONCE));
    let mut under_way = JoinSet::new();
    loop {
        tokio::select! {
            parcel = parcels.recv(), if under_way.len() < UNDER_WAY => match parcel {
                Some(parcel) => {
                    under_way.spawn(carry(Arc::clone(&shared), Arc::clone(&permits), parcel));
                }
                None => return,
            },
            Some(ended) = under_way.join_next() => {
                if let Err(error) = ended {
                    tracing::error!(%error, "a webhook of the sandbox was not carried to its end");
                }
            }
        }
    }
}

async fn carry(shared: Arc<Shared>, permits: Arc<Semaphore>, parcel: Parcel) {
    for notice in parcel {
        tokio::time::sleep(notice.delay).await;
        if let Some(told) = &notice.told {
            shared.phones().tell(&told.customer, &told.line, &told.wamid, told.status, told.code);
        }
        for _ in 0..notice.copies {
            persist(&shared, &permits, &notice.body).await;
        }
    }
}

async fn persist(shared: &Shared, permits: &Semaphore, body: &[u8]) {
    for tried in 0..TRIES {
        if tried > 0 {
            tokio::time::sleep(FIRST_WAIT * 2_u32.pow(tried - 1)).await;
        }
        let Ok(_permit) = permits.acquire().await else {
            return;
        };
        if is_taken(deliver(shared, body).await) {
            return;
        }
    }
    tracing::warn!(tries = TRIES, "the sandbox gave a webhook up");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_letters_are_escaped_and_mean_the_same() {
        let value = json!({ "text": "שלום 🎉 \"x\"" });
        let bytes = ascii(&value.to_string());
        assert!(bytes.is_ascii());
        assert_eq!(serde_json::from_slice::<Value>(&bytes).expect("JSON"), value);
    }

    /// RFC 4231, test case 2.
    #[test]
    fn the_signature_is_hmac_sha256() {
        assert_eq!(
            signature("Jefe", b"what do ya want for nothing?"),
            "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }
}
