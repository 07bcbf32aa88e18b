//! Who may speak for a line: the handshake and the signature over the raw bytes.

use reqwest::Method;
use serde_json::json;
use tests::app::{LINE, TestApp};
use tests::flows::echo;
use tests::webhook::{signature, text_message};

use crate::rest::refused;

const HOOK: &str = "/api/webhook/whatsapp";

async fn journalled(app: &TestApp) -> i64 {
    sqlx::query_scalar("select count(*) from webhook_journal").fetch_one(&app.database.pool).await.expect("rows")
}

#[tokio::test]
async fn the_right_verify_token_gets_its_challenge_back() {
    let app = TestApp::start().await;
    let ask = async |query: &str| app.call(Method::GET, &format!("{HOOK}?{query}"), None, &[]).await;
    let token = app.config.meta.verify_token.as_ref().expect("a token").expose().clone();
    let right = ask(&format!("hub.mode=subscribe&hub.verify_token={token}&hub.challenge=1158201444")).await;
    assert_eq!((right.status.as_u16(), right.text.as_str()), (200, "1158201444"));
    assert!(right.header("content-type").is_some_and(|kind| kind.starts_with("text/plain")));
    for wrong in [
        "hub.mode=subscribe&hub.verify_token=wrong&hub.challenge=1".to_owned(),
        "hub.mode=subscribe&hub.verify_token=&hub.challenge=1".to_owned(),
        "hub.mode=subscribe&hub.challenge=1".to_owned(),
        format!("hub.mode=unsubscribe&hub.verify_token={token}&hub.challenge=1"),
        format!("hub.verify_token={token}&hub.challenge=1"),
        String::new(),
    ] {
        refused(&ask(&wrong).await, 403, "wrong_verify_token");
    }
    let dana = app.account("dana").await;
    let line = json!({ "phoneNumberId": LINE, "wabaId": "2", "accessToken": "t", "verifyToken": "the lines own" });
    dana.post("/api/settings/whatsapp", &line).await.ok();
    let own = ask("hub.mode=subscribe&hub.verify_token=the%20lines%20own&hub.challenge=7").await;
    assert_eq!((own.status.as_u16(), own.text.as_str()), (200, "7"));
}

#[tokio::test]
async fn only_what_is_signed_is_stored() {
    let app = TestApp::start().await;
    let dana = app.account("dana").await;
    dana.has_line().await.has_flow("Echo", &echo()).await;
    let body = serde_json::to_vec(&text_message("972501234567", "wamid.A", "hi")).expect("JSON");
    let secret = app.config.meta.app_secret.as_ref().expect("a secret").expose().clone();
    let right = signature(&secret, &body);
    let mut flipped = body.clone();
    *flipped.last_mut().expect("a byte") ^= 1;
    let last = if right.ends_with('0') { "1" } else { "0" };
    let altered = format!("{}{last}", &right[..right.len() - 1]);
    for (bytes, signature) in [
        (&body, None),
        (&body, Some(String::new())),
        (&body, Some("sha256=".to_owned())),
        (&body, Some("sha256=zz".to_owned())),
        (&body, Some(right.replace("sha256=", "sha1="))),
        (&body, Some(signature("another secret", &body))),
        (&body, Some(altered)),
        (&flipped, Some(right.clone())),
    ] {
        refused(&app.deliver_bytes(bytes, signature.as_deref()).await, 401, "bad_signature");
    }
    assert_eq!(journalled(&app).await, 0, "nothing is stored");
    let taken = app.deliver_bytes(&body, Some(&right)).await;
    assert_eq!((taken.status.as_u16(), taken.text.as_str()), (200, "{}"));
    app.wait_for_answers("972501234567", 1).await;
    assert_eq!(journalled(&app).await, 1);
    // Signed nonsense is Meta's own: kept, and answered with a 200.
    for nonsense in ["", "nonsense", "[]", "{}", "{\"entry\": 7}"] {
        app.deliver_bytes(nonsense.as_bytes(), Some(&signature(&secret, nonsense.as_bytes()))).await.ok();
    }
}

#[tokio::test]
async fn a_line_with_a_secret_of_its_own_is_heard_by_that_alone() {
    let app = TestApp::start().await;
    let (ada, bob) = (app.account("ada").await, app.account("bob").await);
    let line =
        |id: &str, secret: &str| json!({ "phoneNumberId": id, "wabaId": "2", "accessToken": "t", "appSecret": secret });
    ada.post("/api/settings/whatsapp", &line("300000000000003", "ada's secret")).await.ok();
    bob.post("/api/settings/whatsapp", &line(LINE, "bob's secret")).await.ok();
    bob.has_flow("Echo", &echo()).await;
    let forged = serde_json::to_vec(&text_message("972501234567", "wamid.A", "forged")).expect("JSON");
    refused(&app.deliver_bytes(&forged, Some(&signature("ada's secret", &forged))).await, 401, "bad_signature");
    let installation = app.config.meta.app_secret.as_ref().expect("a secret").expose().clone();
    let accepted = app.deliver_bytes(&forged, Some(&signature(&installation, &forged))).await;
    assert_eq!(accepted.status.as_u16(), 200, "genuine, but nothing this line listens to: {}", accepted.text);
    // A batch that names both lines, signed by Ada: hers is heard, Bob's is not.
    let mut both = text_message("972501234567", "wamid.B", "forged too");
    let mut adas = both["entry"][0]["changes"][0].clone();
    adas["value"]["metadata"]["phone_number_id"] = json!("300000000000003");
    adas["value"]["messages"][0]["id"] = json!("wamid.C");
    both["entry"][0]["changes"].as_array_mut().expect("changes").push(adas);
    let both = serde_json::to_vec(&both).expect("JSON");
    app.deliver_bytes(&both, Some(&signature("ada's secret", &both))).await.ok();
    ada.conversation_with("972501234567").await;
    let honest = serde_json::to_vec(&text_message("972501234567", "wamid.D", "honest")).expect("JSON");
    app.deliver_bytes(&honest, Some(&signature("bob's secret", &honest))).await.ok();
    let row = bob.conversation_with("972501234567").await;
    let path = format!("/api/conversations/{}", row["id"].as_str().expect("an id"));
    tests::app::eventually("the echo", async || {
        let shown = bob.get(&path).await.ok();
        let texts: Vec<_> = shown["messages"].as_array()?.iter().map(|it| it["text"].clone()).collect();
        assert!(texts.iter().all(|it| !it.to_string().contains("forged")), "{texts:?}");
        (texts.len() == 2).then_some(())
    })
    .await;
}
