//! Leads: told, changed, found by phone.

use serde_json::{Value, json};
use tests::app::{SignedIn, TestApp};

use super::refused;

const PHONE: &str = "+972501234567";

async fn tell(dana: &SignedIn, lead: Value) -> Value {
    dana.post("/api/leads", &lead).await.ok()
}

#[tokio::test]
async fn a_lead_is_captured_once_and_then_added_to() {
    let app = TestApp::start().await;
    let dana = app.account("dana").await;
    let lead = json!({ "phone": PHONE, "name": "John", "email": "john@example.com", "source": "website",
                       "fields": { "product": "Premium" }, "tags": ["warm"] });
    let made = dana.post("/api/leads", &lead).await;
    assert_eq!(made.status.as_u16(), 201);
    let made = made.ok();
    let expected = json!({ "phone": PHONE, "name": "John", "email": "john@example.com", "source": "website", "status": "new",
                           "fields": { "product": "Premium" }, "tags": ["warm"] });
    for (name, value) in expected.as_object().expect("members") {
        assert_eq!(&made[name], value, "{made}");
    }
    let again = dana.post("/api/leads", &lead).await;
    assert_eq!((again.status.as_u16(), again.body), (200, made.clone()), "the same facts twice change nothing");
    let more = tell(
        &dana,
        json!({ "phone": "+972-50-123-4567", "source": "elsewhere", "fields": { "city": "Haifa" }, "tags": ["vip"] }),
    )
    .await;
    assert_eq!((&more["id"], &more["source"], &more["name"]), (&made["id"], &json!("website"), &json!("John")));
    assert_eq!(
        (&more["fields"], &more["tags"]),
        (&json!({ "product": "Premium", "city": "Haifa" }), &json!(["warm", "vip"]))
    );
    for spelling in ["%2B972501234567", "+972501234567", "972501234567"] {
        assert_eq!(dana.get(&format!("/api/leads/{spelling}")).await.ok(), more, "{spelling}");
    }
}

#[tokio::test]
async fn a_lead_changes_by_its_phone() {
    let app = TestApp::start().await;
    let dana = app.account("dana").await;
    tell(&dana, json!({ "phone": PHONE, "name": "John", "fields": { "a": 1, "b": 2 }, "tags": ["cold", "old"] })).await;
    let update = json!({ "status": "qualified", "email": "j@example.com", "fields": { "a": null, "c": [3] }, "tags": ["hot"], "removeTags": ["cold"] });
    let changed = dana.put("/api/leads/%2B972501234567", &update).await.ok();
    assert_eq!(
        (&changed["status"], &changed["email"], &changed["name"]),
        (&json!("qualified"), &json!("j@example.com"), &json!("John"))
    );
    assert_eq!((&changed["fields"], &changed["tags"]), (&json!({ "b": 2, "c": [3] }), &json!(["old", "hot"])));
    assert_eq!(dana.put("/api/leads/972501234567", &json!({ "status": "won" })).await.ok()["status"], "won");
    refused(&dana.put("/api/leads/+972500000000", &json!({ "status": "won" })).await, 404, "not_found");
    refused(&dana.get("/api/leads/+972500000000").await, 404, "not_found");
    refused(&dana.get("/api/leads/nobody").await, 404, "not_found");
}

#[tokio::test]
async fn leads_are_listed_searched_and_paged() {
    let app = TestApp::start().await;
    let dana = app.account("dana").await;
    for (n, status) in [(1, "new"), (2, "won"), (3, "new")] {
        tell(&dana, json!({ "phone": format!("+97250000000{n}"), "name": format!("Lead {n}"), "status": status }))
            .await;
    }
    let names = async |query: &str| -> Vec<String> {
        let rows = dana.get(&format!("/api/leads{query}")).await.ok();
        rows.as_array().expect("a list").iter().map(|it| it["name"].as_str().unwrap_or_default().to_owned()).collect()
    };
    assert_eq!(names("").await, ["Lead 3", "Lead 2", "Lead 1"]);
    assert_eq!(names("?status=won").await, ["Lead 2"]);
    assert_eq!(names("?search=lead%201").await, ["Lead 1"]);
    assert_eq!(names("?search=50000000%25").await, Vec::<String>::new(), "a percent sign is one");
    let first = dana.get("/api/leads?limit=2").await;
    let cursor = first.header("x-next-cursor").expect("a cursor").to_owned();
    assert_eq!(names(&format!("?limit=2&cursor={cursor}")).await, ["Lead 1"]);
}

#[tokio::test]
async fn what_is_no_lead_is_refused() {
    let app = TestApp::start().await;
    let dana = app.account("dana").await;
    for phone in ["0501234567", "12", "phone", "", "+972501234567890123"] {
        refused(&dana.post("/api/leads", &json!({ "phone": phone })).await, 400, "phone_invalid");
    }
    for wrong in [
        json!({ "name": "No phone" }),
        json!({ "phone": PHONE, "email": "nobody" }),
        json!({ "phone": PHONE, "email": "a@b@c" }),
        json!({ "phone": PHONE, "status": "Very Warm!" }),
        json!({ "phone": PHONE, "status": "" }),
        json!({ "phone": PHONE, "name": "x".repeat(201) }),
        json!({ "phone": PHONE, "fields": ["a"] }),
        json!({ "phone": PHONE, "unknown": 1 }),
    ] {
        let answer = dana.post("/api/leads", &wrong).await;
        assert_eq!(answer.status.as_u16(), 400, "{wrong}: {}", answer.text);
        refused(&answer, 400, "invalid_request");
    }
    assert_eq!(dana.get("/api/leads").await.ok(), json!([]), "nothing is stored");
}
