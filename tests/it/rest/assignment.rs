//! Whatever an answer shows, sent back in a change: what is not the caller's to change stays as it is.

use reqwest::Method;
use serde_json::{Map, Value, json};
use tests::app::{SignedIn, TestApp};

use super::document::{Document, Operation};
use super::tenants::Things;

/// What nobody changes of a thing.
const NEVER: [&str; 5] = ["id", "createdAt", "accountId", "tenantId", "ownerId"];
/// What nobody changes of himself.
const NEVER_ONES_OWN: [&str; 5] = ["role", "apiAccessApproved", "permissions", "scopes", "active"];

/// The changes of the document, with the address of what each one changes.
fn changes(document: &Document, things: &Things) -> Vec<(Operation, String)> {
    let operations = document.operations();
    let shown = |path: &str| operations.iter().any(|it| it.path == path && it.method == Method::GET);
    let mut found = Vec::new();
    let owners = operations.iter().filter(|it| it.said["x-access"]["owner"] == true);
    for operation in owners.filter(|it| it.said["requestBody"].is_object()) {
        let settles = operation.method == Method::POST && !operation.path.contains('{') && operation.declares(200);
        let is_change = [Method::PUT, Method::PATCH].contains(&operation.method) || settles;
        let address = match operation.path.contains('{') {
            true => things.paths(&operation.path).map(|(own, _)| own),
            false => Some(operation.path.clone()),
        };
        if let Some(address) = address.filter(|_| is_change && shown(&operation.path)) {
            found.push((operation.clone(), address));
        }
    }
    found
}

/// The thing at an address: what a read shows, or the first row of a list.
async fn thing(caller: &SignedIn, address: &str) -> Option<Map<String, Value>> {
    let shown = caller.get(address).await.ok();
    let row = shown.as_array().map_or(Some(&shown), |rows| rows.first());
    row.and_then(Value::as_object).cloned()
}

/// Something else of the same kind.
fn another(value: &Value) -> Value {
    match value {
        Value::Bool(it) => json!(!it),
        Value::Number(it) => json!(it.as_f64().unwrap_or_default() + 1.0),
        Value::String(it) if it == "user" => json!("admin"),
        Value::String(it) if uuid::Uuid::parse_str(it).is_ok() => json!(uuid::Uuid::new_v4()),
        Value::String(it) if chrono::DateTime::parse_from_rfc3339(it).is_ok() => json!("2020-01-01T00:00:00.000Z"),
        Value::String(it) => json!(format!("{it}x")),
        Value::Array(it) => json!([it.clone(), vec![json!("people")]].concat()),
        Value::Object(it) => json!(it.clone().into_iter().chain([("x".to_owned(), json!(1))]).collect::<Map<_, _>>()),
        Value::Null => json!("x"),
    }
}

/// Who may do what, by the database's word.
async fn rights(app: &TestApp) -> Vec<String> {
    // An employee's are the owner's to change.
    let rights = "select concat_ws(' ', id, username, role, account_id, permissions, active, api_access_approved,
                         created_at) from users where role <> 'employee' order by id";
    let mut all: Vec<String> = sqlx::query_scalar(rights).fetch_all(&app.database.pool).await.expect("people");
    // The key is the owner's to rotate.
    let clients = "select concat_ws(' ', user_id, client_id, scopes) from api_clients order by 1";
    all.extend(sqlx::query_scalar::<_, String>(clients).fetch_all(&app.database.pool).await.expect("clients"));
    all
}

/// Sends every field back: as it is, changed, and all together.
async fn sends_everything_back(caller: &SignedIn, document: &Document, operation: &Operation, address: &str) {
    let before = thing(caller, address)
        .await
        .unwrap_or_else(|| panic!("the test needs something at {address} for `{}`: make one in Things", operation.id));
    let (known, required) = document.request_members(operation);
    let sample = operation.sample().unwrap_or_default();
    let base: Map<String, Value> = required
        .iter()
        .map(|name| (name.clone(), before.get(name).filter(|it| !it.is_null()).unwrap_or(&sample[name]).clone()))
        .collect();
    let mut together = base.clone();
    for (name, value) in &before {
        for sent in [value.clone(), another(value)] {
            let mut body = base.clone();
            body.insert(name.clone(), sent.clone());
            let answer = caller.call(operation.method.clone(), address, Some(&Value::Object(body))).await;
            let status = answer.status.as_u16();
            assert!(operation.declares(status) && status < 500, "`{}` {name}: {}", operation.id, answer.text);
            if !known.contains(name) {
                assert_eq!(status, 400, "`{}` has no field {name}: {}", operation.id, answer.text);
                assert!(answer.text.contains(name.as_str()), "{}", answer.text);
            }
            together.insert(name.clone(), sent);
        }
    }
    let answer = caller.call(operation.method.clone(), address, Some(&Value::Object(together))).await;
    assert!(operation.declares(answer.status.as_u16()), "`{}`: {}", operation.id, answer.text);
    let after = thing(caller, address).await.expect("it is still there");
    let is_oneself = before.get("id").and_then(Value::as_str) == Some(&caller.id);
    let of_oneself = NEVER_ONES_OWN.into_iter().filter(|_| is_oneself);
    for name in NEVER.into_iter().chain(of_oneself) {
        assert_eq!(after.get(name), before.get(name), "`{}` changed {name}", operation.id);
    }
}

#[tokio::test]
async fn nothing_changes_that_is_not_the_callers_to_change() {
    let app = TestApp::start().await;
    let document = Document::of(&app).await;
    let owner = app.account("owner").await;
    let things = Things::of(&app, &owner).await;
    app.api_client(&owner).await;
    let before = rights(&app).await;
    let changes = changes(&document, &things);
    for (operation, address) in &changes {
        sends_everything_back(&owner, &document, operation, address).await;
        assert_eq!(rights(&app).await, before, "`{}` changed what somebody may", operation.id);
    }
    let ids: Vec<&str> = changes.iter().map(|(operation, _)| operation.id.as_str()).collect();
    for id in ["updateFlow", "updateUser", "updateLead", "handleConversation"] {
        assert!(ids.contains(&id), "{id} is a change: {ids:?}");
    }
}

#[tokio::test]
async fn an_employee_grants_himself_nothing() {
    let app = TestApp::start().await;
    let owner = app.account("owner").await;
    let employee = app.employee(&owner, "eli", &["people", "settings"]).await;
    let me = employee.get("/api/auth/me").await.ok()["user"]["id"].as_str().expect("an id").to_owned();
    let himself = "select to_jsonb(u) from users u where username = 'eli'";
    let himself = async || sqlx::query_scalar::<_, Value>(himself).fetch_one(&app.database.pool).await.expect("eli");
    let before = himself().await;
    for (name, value) in [
        ("role", json!("admin")),
        ("role", json!("user")),
        ("apiAccessApproved", json!(true)),
        ("permissions", json!(["flows"])),
        ("accountId", json!(me)),
        ("active", json!(true)),
    ] {
        let answer = employee.put(&format!("/api/users/{me}"), &json!({ name: value })).await;
        assert!([400, 403].contains(&answer.status.as_u16()), "{name}: {}", answer.text);
    }
    assert_eq!(himself().await, before);
}
