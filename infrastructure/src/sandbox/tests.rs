//! The sandbox and our own adapter, talking over loopback: the adapter sends, the sandbox answers and calls back.

use application::channels::{Channel, InboundItem, Line, SendError};
use domain::shared::channel::Address;
use domain::shared::content::{OutboundContent, TemplateContent};
use domain::shared::ids::TenantId;
use domain::shared::phone::Phone;
use poem::Server;
use poem::listener::{Acceptor, Listener, TcpListener};

use super::*;
use crate::channels::whatsapp::send::WhatsApp;
use crate::channels::whatsapp::webhook;

const SECRET: &str = "app-secret-of-the-tests";

/// A webhook's status code to answer with next, and what came in so far with its signature.
#[derive(Default)]
struct Hook {
    refuse_first: Mutex<usize>,
    seen: Mutex<Vec<(Option<String>, Vec<u8>)>>,
}

#[handler]
async fn hook(headers: &HeaderMap, body: Vec<u8>, Data(hook): Data<&Arc<Hook>>) -> StatusCode {
    let signature = headers.get("x-hub-signature-256").and_then(|value| value.to_str().ok()).map(str::to_owned);
    hook.seen.lock().expect("a lock").push((signature, body));
    let mut refuse = hook.refuse_first.lock().expect("a lock");
    if *refuse > 0 {
        *refuse -= 1;
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    StatusCode::OK
}

struct World {
    base: String,
    hook: Arc<Hook>,
    http: reqwest::Client,
}

impl World {
    async fn new() -> Self {
        let acceptor = TcpListener::bind("127.0.0.1:0").into_acceptor().await.expect("a port");
        let address = acceptor.local_addr()[0].as_socket_addr().copied().expect("an address");
        let base = format!("http://{address}");
        let seen = Arc::new(Hook::default());
        let config = SandboxConfig {
            app_secret: SECRET.to_owned(),
            webhook_url: format!("{base}/hook"),
            status_delay_ms: 1,
            app_id: "app".to_owned(),
            google_client_id: "client".to_owned(),
        };
        let sandbox = Arc::new(MetaSandbox::new(config));
        let routes = Route::new().at("/hook", post(hook)).nest("/sandbox", sandbox.routes()).data(Arc::clone(&seen));
        tokio::spawn(async move { Server::new_with_acceptor(acceptor).run(routes).await });
        Self { base, hook: seen, http: http_client::client(Duration::from_secs(2)) }
    }

    fn channel(&self) -> WhatsApp {
        WhatsApp::new(self.http.clone(), &format!("{}/sandbox/graph", self.base), "v24.0")
    }

    async fn send(&self, phone: &str, content: OutboundContent) -> Result<String, SendError> {
        let to = Address { phone: Phone::parse(phone).ok(), user_id: None };
        self.channel().send(&line(), &to, &content, "c-1").await.map(|accepted| accepted.provider_message_id)
    }

    async fn write(&self, phone: &str, query: &str, writing: Value) -> Value {
        let url = format!("{}/sandbox/customers/{phone}/messages{query}", self.base);
        self.http.post(url).json(&writing).send().await.expect("an answer").json().await.expect("JSON")
    }

    async fn get(&self, path: &str) -> Value {
        let url = format!("{}/sandbox{path}", self.base);
        self.http.get(url).send().await.expect("an answer").json().await.expect("JSON")
    }

    /// What the webhooks said, once `count` of them came; each must be signed over its exact bytes.
    async fn told(&self, count: usize) -> Vec<InboundItem> {
        for _ in 0..400 {
            let seen = self.hook.seen.lock().expect("a lock").clone();
            if seen.len() >= count {
                let signed =
                    seen.iter().all(|(mark, body)| mark.as_deref() == Some(&meta_webhooks::signature(SECRET, body)));
                assert!(signed, "every webhook is signed");
                return seen.iter().flat_map(|(_, body)| webhook::parse(body)).collect();
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("fewer than {count} webhooks")
    }

    async fn statuses(&self, after: usize, count: usize) -> Vec<String> {
        let of = |item: &InboundItem| match item {
            InboundItem::Status { news, .. } => {
                assert_eq!(news.correlation.as_deref(), Some("c-1"));
                news.error.as_ref().map_or(news.status.to_string(), |error| format!("{} {}", news.status, error.code))
            }
            InboundItem::Message { .. }
            | InboundItem::AddressChanged { .. }
            | InboundItem::Preference { .. }
            | InboundItem::Template(_)
            | InboundItem::Parked { .. } => "other".into(),
        };
        self.told(after + count).await[after..].iter().map(of).collect()
    }
}

fn line() -> Line {
    Line {
        tenant: TenantId(uuid::Uuid::nil()),
        phone_number_id: "1055".to_owned(),
        access_token: "token".to_owned(),
        messages_per_second: 80,
        pair_limit: true,
    }
}

fn text(text: &str) -> OutboundContent {
    OutboundContent::Text { text: text.to_owned(), preview_url: false }
}

fn template(name: &str) -> OutboundContent {
    OutboundContent::Template(TemplateContent {
        name: name.into(),
        language: "he".into(),
        ..TemplateContent::default()
    })
}

#[tokio::test]
async fn a_conversation_there_and_back() {
    let world = World::new().await;
    let wrote =
        world.write("+972501234567", "", json!({ "phoneNumberId": "1055", "text": "שלום", "name": "נועה" })).await;
    assert_eq!(wrote["webhookStatus"], 200);
    let items = world.told(1).await;
    let [InboundItem::Message { phone_number_id, sender, message }] = items.as_slice() else { panic!("{items:?}") };
    assert_eq!((phone_number_id.as_str(), sender.name.as_deref()), ("1055", Some("נועה")));
    assert_eq!(
        (message.text.as_deref(), wrote["wamid"].as_str()),
        (Some("שלום"), Some(message.provider_message_id.as_str()))
    );

    world.channel().mark_read(&line(), &message.provider_message_id, true).await.expect("read");
    let sent = world.send("+972501234567", text("hello")).await.expect("accepted");
    assert_eq!(world.statuses(1, 3).await, ["sent", "delivered", "read"]);
    let phone = world.get("/customers/972501234567/messages?phoneNumberId=1055").await;
    assert_eq!((&phone[0]["direction"], &phone[0]["status"]), (&json!("in"), &json!("read")));
    assert_eq!(
        (&phone[1]["wamid"], &phone[1]["status"], &phone[1]["content"]["body"]),
        (&json!(sent), &json!("read"), &json!("hello"))
    );

    world.write("972501234567", "", json!({ "phoneNumberId": "1055", "buttonId": "yes", "title": "Yes" })).await;
    let items = world.told(5).await;
    let Some(InboundItem::Message { message, .. }) = items.last() else { panic!("{items:?}") };
    assert_eq!(message.choice.as_ref().map(|choice| choice.id.as_str()), Some("yes"));
    assert_eq!(message.refers_to, Some(sent));
    assert_eq!(world.get("/customers").await[0]["messages"], 3);
}

#[tokio::test]
async fn outside_the_window_only_templates_arrive() {
    let world = World::new().await;
    world.send("+972500000001", text("hello")).await.expect("accepted");
    assert_eq!(world.statuses(0, 1).await, ["failed 131047"]);
    world.send("+972500000001", template("order_ready")).await.expect("accepted");
    assert_eq!(world.statuses(1, 3).await, ["sent", "delivered", "read"]);
}

#[tokio::test]
async fn numbers_and_names_choose_what_goes_wrong() {
    let world = World::new().await;
    for (phone, content, code) in [
        ("+15559131056", text("x"), 131_056),
        ("+15559000190", text("x"), 190),
        ("+972500000001", template("spring_132015"), 132_015),
        ("+972500000001", text(&"x".repeat(4_097)), 131_009),
    ] {
        match world.send(phone, content).await {
            Err(SendError::Refused { error, .. }) => assert_eq!(error.code, code),
            other => panic!("{phone}: {other:?}"),
        }
    }
    let broken = world.send("+15570000004", template("x")).await;
    assert!(matches!(broken, Err(SendError::InDoubt(_))), "{broken:?}");
    assert_eq!(world.get("/customers").await, json!([]), "none of it took effect");

    world.send("+15569131026", template("x")).await.expect("accepted");
    assert_eq!(world.statuses(0, 1).await, ["failed 131026"]);
    world.send("+15570000001", template("x")).await.expect("accepted");
    assert_eq!(world.statuses(1, 3).await, ["read", "delivered", "sent"]);
    world.send("+15570000002", template("x")).await.expect("accepted");
    assert_eq!(world.statuses(4, 6).await, ["sent", "sent", "delivered", "delivered", "read", "read"]);
    let late = world.send("+15570000003", template("x")).await;
    assert!(matches!(late, Err(SendError::InDoubt(_))), "{late:?}");
    assert_eq!(world.statuses(10, 3).await, ["sent", "delivered", "read"], "it took effect");
}

#[tokio::test]
async fn webhooks_are_repeated_on_wish_and_retried_in_need() {
    let world = World::new().await;
    let raw = json!({ "id": "wamid.SAME", "type": "hologram", "from": null, "from_user_id": "IL.9" });
    world.write("IL.9", "?deliveries=3", json!({ "phoneNumberId": "1055", "raw": raw })).await;
    for item in world.told(3).await {
        let InboundItem::Message { sender, message, .. } = item else { panic!("{item:?}") };
        assert_eq!(
            (sender.address.user_id.as_deref(), message.provider_message_id.as_str()),
            (Some("IL.9"), "wamid.SAME")
        );
    }
    *world.hook.refuse_first.lock().expect("a lock") = 2;
    world.send("+972500000001", template("x")).await.expect("accepted");
    assert_eq!(world.statuses(3, 5).await, ["sent", "sent", "sent", "delivered", "read"]);
    let nothing = world.write("1", "", json!({ "phoneNumberId": "1055" })).await;
    assert!(nothing["message"].is_string(), "{nothing}");
}

#[tokio::test]
async fn without_a_token_graph_says_190_and_the_help_lists_the_rules() {
    let world = World::new().await;
    let url = format!("{}/sandbox/graph/v24.0/1055/messages", world.base);
    let answer = world.http.post(url).json(&json!({})).send().await.expect("an answer");
    assert_eq!(answer.status().as_u16(), 401);
    let body: Value = answer.json().await.expect("JSON");
    assert_eq!((&body["error"]["code"], &body["error"]["type"]), (&json!(190), &json!("OAuthException")));
    assert!(world.get("").await["numbers"].is_object());
}
