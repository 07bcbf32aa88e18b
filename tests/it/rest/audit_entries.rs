//! Audit entries: who changed people, keys, settings and permissions, told without a secret.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tests::app::{LINE, SignedIn, TestApp, eventually};

use super::refused;

const ENTRIES: &str = "/api/audit/entries";
const SECRETS: [&str; 5] = ["correct horse", "another horse", "EAAGsecret", "app-secret-0123", "verify-me-please"];

async fn rows(who: &SignedIn, query: &str) -> Vec<Value> {
    who.get(&format!("{ENTRIES}?{query}")).await.ok().as_array().expect("an array").clone()
}

async fn paged(who: &SignedIn, query: &str) -> Vec<Value> {
    let (mut all, mut cursor) = (Vec::new(), String::new());
    loop {
        let answer = who.get(&format!("{ENTRIES}?limit=3{cursor}&{query}")).await;
        let next = answer.header("x-next-cursor").map(|next| format!("&cursor={next}"));
        all.extend(answer.ok().as_array().expect("an array").iter().cloned());
        match next {
            Some(next) => cursor = next,
            None => return all,
        }
    }
}

async fn lines(who: &SignedIn, query: &str) -> Vec<Value> {
    let response = who.lines(&format!("{ENTRIES}?{query}")).await;
    assert_eq!(response.headers()["content-type"], "application/x-ndjson");
    let text = response.text().await.expect("a whole answer");
    text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
}

/// An account in which everything was changed once. Its owner, an employee of hers, her key.
async fn lived(app: &TestApp) -> (SignedIn, SignedIn, String) {
    let dana = app.account("dana").await;
    let noa = app.employee(&dana, "noa", &["people", "inbox", "settings"]).await;
    let employee = format!("/api/employees/{}", noa.id);
    dana.put(&employee, &json!({ "permissions": ["people", "inbox", "settings", "leads"], "team": "support" }))
        .await
        .ok();
    let below = app.employee(&noa, "below", &["inbox"]).await;
    noa.put(&format!("/api/employees/{}", below.id), &json!({ "active": false, "password": "another horse" }))
        .await
        .ok();
    noa.delete(&format!("/api/employees/{}", below.id)).await.ok();
    let line = json!({ "phoneNumberId": LINE, "wabaId": "200000000000002", "accessToken": "EAAGsecretEAAGsecret",
                       "appSecret": "app-secret-0123", "verifyToken": "verify-me-please" });
    noa.post("/api/settings/whatsapp", &line).await.ok();
    let access = dana.post("/api/settings/api-access", &Value::Null).await.ok();
    dana.put(&format!("/api/users/{}", dana.id), &json!({ "timezone": "Asia/Jerusalem" })).await.ok();
    let task = noa.post("/api/tasks", &json!({ "title": "Call" })).await.ok();
    let task = format!("/api/tasks/{}", task["id"].as_str().expect("an id"));
    noa.put(&task, &json!({ "comment": "secretly" })).await.ok();
    noa.put(&task, &json!({ "status": "completed" })).await.ok();
    noa.delete(&task).await.ok();
    let all = "select count(*) from audit_entries where tenant_id = $1::uuid";
    let all: i64 = sqlx::query_scalar(all).bind(&dana.id).fetch_one(&app.database.pool).await.expect("a count");
    eventually("every entry", async || (rows(&dana, "limit=200").await.len() as i64 == all).then_some(())).await;
    (dana, noa, access["apiKey"].as_str().expect("a key").to_owned())
}

#[tokio::test]
async fn every_change_of_people_keys_and_settings_has_its_entry_and_no_secret() {
    let app = TestApp::start().await;
    let (dana, noa, key) = lived(&app).await;
    let all = rows(&dana, "limit=200").await;
    let told: BTreeSet<&str> = all.iter().filter_map(|it| it["action"].as_str()).collect();
    let expected = [
        "api_key.rotated",
        "employee.changed",
        "employee.created",
        "employee.deleted",
        "line.saved",
        "session.opened",
        "task.changed",
        "task.commented",
        "task.created",
        "task.deleted",
        "user.changed",
        "user.created",
    ];
    assert_eq!(told, BTreeSet::from(expected));
    let text = json!(all).to_string();
    for secret in SECRETS.into_iter().chain([key.as_str(), "argon2", "secretly"]) {
        assert!(!text.contains(secret), "{secret} is told");
    }
    let by = |who: &SignedIn| json!(format!("user:{}", who.id));
    let the = |action: &str| all.iter().filter(|it| it["action"] == action).cloned().collect::<Vec<_>>();
    let changed = &the("employee.changed")[0];
    assert_eq!((&changed["actor"], &changed["subject"]), (&by(&dana), &json!(noa.id)));
    let details = json!({ "permissions": { "from": ["inbox", "settings", "people"], "to": ["inbox", "leads", "settings", "people"] },
                          "team": { "from": null, "to": "support" } });
    assert_eq!(changed["details"], details);
    // What an employee did is the account's.
    assert_eq!(the("line.saved")[0]["actor"], by(&noa));
    let theirs = &the("employee.changed")[1];
    let details = json!({ "active": { "from": true, "to": false }, "passwordChanged": true });
    assert_eq!((&theirs["actor"], &theirs["details"]), (&by(&noa), &details));
    let numbers: Vec<i64> = all.iter().filter_map(|it| it["id"].as_i64()).collect();
    let times: Vec<&str> = all.iter().filter_map(|it| it["at"].as_str()).collect();
    assert!(numbers.len() == all.len() && times.is_sorted(), "{times:?}");
}

#[tokio::test]
async fn pages_and_lines_are_the_same_whole_whatever_is_asked_for() {
    let app = TestApp::start().await;
    let (dana, noa, _) = lived(&app).await;
    let all = rows(&dana, "limit=200").await;
    let (actor, time) = (format!("user:{}", noa.id), all[all.len() / 2]["at"].as_str().expect("a time"));
    type Wanted<'a> = Box<dyn Fn(&Value) -> bool + 'a>;
    let questions: Vec<(String, Wanted<'_>)> = vec![
        (String::new(), Box::new(|_| true)),
        ("action=line.saved".into(), Box::new(|it| it["action"] == "line.saved")),
        (
            "action=task.created,task.deleted&action=line.saved".into(),
            Box::new(|it| ["task.created", "task.deleted", "line.saved"].iter().any(|word| it["action"] == *word)),
        ),
        (format!("actor={actor}"), Box::new(|it| it["actor"] == json!(actor))),
        (format!("subject={}", noa.id), Box::new(|it| it["subject"] == json!(noa.id))),
        (format!("from={time}"), Box::new(|it| it["at"].as_str() >= Some(time))),
        (format!("to={time}"), Box::new(|it| it["at"].as_str() <= Some(time))),
        ("action=nothing".into(), Box::new(|_| false)),
    ];
    for (question, wanted) in &questions {
        for (order, newest_first) in [("asc", false), ("desc", true)] {
            let mut expected: Vec<Value> = all.iter().filter(|it| wanted(it)).cloned().collect();
            if newest_first {
                expected.reverse();
            }
            let query = format!("order={order}&{question}");
            assert_eq!(rows(&dana, &format!("{query}&limit=200")).await, expected, "{query}");
            assert_eq!(paged(&dana, &query).await, expected, "{query} in pages");
            assert_eq!(lines(&dana, &query).await, expected, "{query} as lines");
        }
    }
    for wrong in ["cursor=zz", "cursor=317e61", "from=yesterday", "to=1-2-3", "order=up", "limit=0"] {
        refused(&dana.get(&format!("{ENTRIES}?{wrong}")).await, 400, "invalid_request");
    }
}

#[tokio::test]
async fn entries_are_read_by_who_may_read_reports_and_by_administrators() {
    let app = TestApp::start().await;
    let (dana, noa, _) = lived(&app).await;
    let (admin, eve) = (app.admin().await, app.account("eve").await);
    let auditor = app.employee(&dana, "auditor", &["reports"]).await;
    refused(&noa.get(ENTRIES).await, 403, "forbidden");
    let theirs = format!("account={}&action=line.saved", dana.id);
    for who in [&eve, &auditor] {
        let answer = who.get(&format!("{ENTRIES}?{theirs}")).await;
        assert_eq!(answer.status, if who.id == auditor.id { 200 } else { 403 }, "{}", answer.text);
    }
    let seen = rows(&auditor, "action=line.saved").await;
    assert_eq!((seen.len(), rows(&admin, &theirs).await), (1, seen));
    assert_eq!(rows(&eve, "action=line.saved").await, [] as [Value; 0]);
    assert_eq!(rows(&admin, "action=line.saved").await, [] as [Value; 0], "an administrator's own account is another");
    let client = app.api_client(&dana).await;
    assert_eq!(rows(&client, "action=line.saved").await.len(), 1, "`reports` is a scope");
}

#[tokio::test]
async fn entries_are_facts() {
    let app = TestApp::start().await;
    app.account("dana").await;
    for statement in
        ["update audit_entries set actor = 'nobody'", "delete from audit_entries", "truncate audit_entries"]
    {
        let refused = sqlx::query(statement).execute(&app.database.pool).await.expect_err("a refusal");
        assert!(refused.to_string().contains("never changed"), "{refused}");
    }
}

#[tokio::test]
async fn no_entry_appears_behind_a_cursor() {
    let app = TestApp::start().await;
    let dana = app.account("dana").await;
    let insert = "insert into audit_entries (tenant_id, actor, action, subject, details) values ($1::uuid, 'system', $2, 's', '{}')";
    // A change that takes long: its entry has the lower number, and commits last.
    let mut slow = app.database.pool.begin().await.expect("a transaction");
    sqlx::query(insert).bind(&dana.id).bind("test.slow").execute(&mut *slow).await.expect("an entry");
    sqlx::query(insert).bind(&dana.id).bind("test.quick").execute(&app.database.pool).await.expect("an entry");
    let query = "action=test.slow,test.quick";
    assert_eq!(rows(&dana, query).await, [] as [Value; 0], "the quick one waits for the slow one");
    slow.commit().await.expect("a commit");
    let both = eventually("both", async || Some(rows(&dana, query).await).filter(|both| both.len() == 2)).await;
    assert_eq!(both.iter().map(|it| it["action"].clone()).collect::<Vec<_>>(), ["test.slow", "test.quick"]);
}
