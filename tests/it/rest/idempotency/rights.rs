//! An answer that was kept is for whoever may still ask for it.

use reqwest::Method;
use serde_json::json;
use tests::app::{Answer, SignedIn, TestApp};
use tests::flows;

use super::super::document::{Document, Operation};
use super::super::refused;
use super::{PHONE, is_again, post};

async fn may(owner: &SignedIn, employee: &SignedIn, permissions: &[&str]) {
    let path = format!("/api/employees/{}", employee.id);
    owner.put(&path, &json!({ "permissions": permissions })).await.ok();
}

#[tokio::test]
async fn who_may_not_any_more_is_refused_and_who_may_again_is_answered_again() {
    let app = TestApp::start().await;
    let dana = app.account("dana").await;
    let noa = app.employee(&dana, "noa", &["leads", "flows"]).await;
    let lead = json!({ "phone": PHONE, "name": "Dana" });
    let told = post(&noa, "k", "/api/leads", &lead).await;
    assert_eq!(told.status.as_u16(), 201);
    is_again(&post(&noa, "k", "/api/leads", &lead).await, &told);

    may(&dana, &noa, &["flows"]).await;
    for _ in 0..2 {
        refused(&post(&noa, "k", "/api/leads", &lead).await, 403, "forbidden");
    }
    refused(&post(&noa, "k", "/api/leads", &json!({ "phone": "x" })).await, 403, "forbidden");
    refused(&post(&noa, "early", "/api/leads", &lead).await, 403, "forbidden");
    refused(&post(&noa, "with space", "/api/leads", &lead).await, 403, "forbidden");

    may(&dana, &noa, &["leads", "flows"]).await;
    is_again(&post(&noa, "k", "/api/leads", &lead).await, &told);
    // A refusal for want of a right is nothing to be kept to.
    let early = post(&noa, "early", "/api/leads", &lead).await;
    assert_eq!((early.status.as_u16(), early.header("idempotency-replayed")), (200, None));
}

#[tokio::test]
async fn an_answer_is_for_the_rights_it_was_given_to() {
    let app = TestApp::start().await;
    let dana = app.account("dana").await;
    dana.has_line().await;
    let noa = app.employee(&dana, "noa", &["reports", "settings", "outbound"]).await;
    let retry = json!({ "action": "retry_failed" });
    let asked = post(&noa, "retry", "/api/monitor/delivery", &retry).await;
    assert_eq!(asked.status.as_u16(), 200, "{}", asked.text);
    // The operation asks for `reports`, and inside for `settings`; nothing is done a second time to find that out.
    may(&dana, &noa, &["reports", "outbound"]).await;
    refused(&post(&noa, "retry", "/api/monitor/delivery", &retry).await, 409, "idempotency_outcome_unknown");
    refused(&post(&noa, "later", "/api/monitor/delivery", &retry).await, 403, "forbidden");
    may(&dana, &noa, &["settings", "reports", "outbound"]).await;
    is_again(&post(&noa, "retry", "/api/monitor/delivery", &retry).await, &asked);
    assert_eq!(post(&noa, "later", "/api/monitor/delivery", &retry).await.status.as_u16(), 200);

    // A flow's own credentials may let somebody in whom nothing was granted: only the flow knows.
    let graph = flows::drawflow(&[
        ("1", "trigger_api", json!({ "auth": { "mode": "jwt" } }), &["2"]),
        ("2", "send_text", json!({ "text": "welcome" }), &[]),
    ]);
    let (path, payload) =
        (format!("/api/webhook/flow/{}", dana.has_flow("api", &graph).await), json!({ "phone": PHONE }));
    let started = post(&noa, "start", &path, &payload).await;
    assert_eq!(started.status.as_u16(), 200, "{}", started.text);
    may(&dana, &noa, &["reports"]).await;
    refused(&post(&noa, "start", &path, &payload).await, 409, "idempotency_outcome_unknown");
    refused(&post(&noa, "another", &path, &payload).await, 403, "forbidden");
}

/// Operations that take a key and an employee may be granted.
async fn granted(app: &TestApp) -> Vec<(Operation, String)> {
    let keyed = |operation: &Operation| {
        operation.said["parameters"].as_array().into_iter().flatten().any(|it| it["name"] == "Idempotency-Key")
    };
    let known = Document::of(app).await.operations().into_iter().filter(keyed);
    let granted = known.filter_map(|operation| {
        let access = &operation.said["x-access"];
        let permission = access["employee"].as_str().filter(|_| access["orOwnCredentials"] != true)?.to_owned();
        Some((operation, permission))
    });
    granted.collect()
}

/// The operation's path with nobody's ids.
fn address(operation: &Operation) -> String {
    let nobody = "00000000-0000-4000-8000-000000000009";
    let parts = operation.path.split('/').map(|part| if part.starts_with('{') { nobody } else { part });
    parts.collect::<Vec<_>>().join("/")
}

#[tokio::test]
async fn every_operation_asks_before_it_answers_again() {
    let app = TestApp::start().await;
    let dana = app.account("dana").await;
    let noa = app.employee(&dana, "noa", &[]).await;
    let operations = granted(&app).await;
    assert!(operations.len() >= 25, "{}", operations.len());
    for (operation, permission) in &operations {
        let (path, sample) = (address(operation), operation.sample());
        let ask =
            async || -> Answer { noa.keyed(&operation.id, operation.method.clone(), &path, sample.as_ref()).await };
        may(&dana, &noa, &[permission]).await;
        let first = ask().await;
        assert_ne!(first.status.as_u16(), 403, "`{}`: {}", operation.id, first.text);
        may(&dana, &noa, &[]).await;
        let refusal = ask().await;
        assert_eq!(refusal.body["code"], "forbidden", "`{}`: {}", operation.id, refusal.text);
        assert_eq!(refusal.header("idempotency-replayed"), None);
        may(&dana, &noa, &[permission]).await;
        let again = ask().await;
        if !first.status.is_server_error() && first.header("retry-after").is_none() {
            is_again(&again, &first);
        }
    }
    let reads: Vec<&str> =
        operations.iter().filter(|it| it.0.method == Method::GET).map(|it| it.0.id.as_str()).collect();
    assert_eq!(reads, [] as [&str; 0]);
}
