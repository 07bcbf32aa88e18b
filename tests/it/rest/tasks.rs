//! Tasks: who sees them, who works on them, and what becomes of two who do so at the same time.

use reqwest::Method;
use serde_json::{Value, json};
use tests::app::{SignedIn, TestApp};
use tests::flows::echo;
use uuid::Uuid;

use super::refused;

const PHONE: &str = "+972501234567";
const TASKS: &str = "/api/tasks";

async fn make(who: &SignedIn, task: Value) -> Value {
    let made = who.post(TASKS, &task).await;
    assert_eq!(made.status, 201, "{}", made.text);
    made.ok()
}

fn path_of(task: &Value) -> String {
    format!("{TASKS}/{}", task["id"].as_str().expect("an id"))
}

async fn titles(who: &SignedIn, query: &str) -> Vec<String> {
    let list = who.get(&format!("{TASKS}?{query}")).await.ok();
    let titles = list.as_array().expect("a list").iter().map(|it| it["title"].as_str().unwrap_or_default().to_owned());
    titles.collect()
}

/// An employee of a team.
async fn of_team(app: &TestApp, owner: &SignedIn, name: &str, permissions: &[&str], team: &str) -> SignedIn {
    let employee = app.employee(owner, name, permissions).await;
    owner.put(&format!("/api/employees/{}", employee.id), &json!({ "team": team })).await.ok();
    employee
}

#[tokio::test]
async fn a_task_is_made_assigned_commented_completed_and_opened_again() {
    let app = TestApp::start().await;
    let dana = app.account("dana").await;
    let noa = app.employee(&dana, "noa", &[]).await;
    let made =
        make(&dana, json!({ "title": "  Call Ben ", "notes": "About the offer", "dueAt": "2026-11-30T14:00:00Z" }))
            .await;
    let expected = json!({ "id": made["id"], "title": "Call Ben", "notes": "About the offer", "status": "open",
        "dueAt": "2026-11-30T14:00:00.000Z", "createdBy": dana.id, "createdAt": made["createdAt"],
        "updatedAt": made["createdAt"], "version": 1, "commentCount": 0, "comments": [] });
    assert_eq!(made, expected);
    let path = path_of(&made);
    refused(&noa.get(&path).await, 404, "not_found");
    let assigned = dana.put(&path, &json!({ "assigneeId": noa.id, "dueAt": null })).await.ok();
    assert_eq!(
        (&assigned["assigneeId"], assigned.get("dueAt"), &assigned["version"]),
        (&json!(noa.id), None, &json!(2))
    );
    noa.put(&path, &json!({ "comment": "He is away" })).await.ok();
    let done = noa.put(&path, &json!({ "status": "completed", "comment": "Done" })).await.ok();
    assert_eq!(
        (&done["status"], &done["completedBy"], &done["version"]),
        (&json!("completed"), &json!(noa.id), &json!(4))
    );
    let comments = done["comments"].as_array().expect("comments");
    let said: Vec<Value> = comments.iter().map(|it| json!([it["authorId"], it["text"]])).collect();
    assert_eq!(json!(said), json!([[noa.id, "He is away"], [noa.id, "Done"]]));
    // Once more changes nothing: who completed it first did it.
    assert_eq!(dana.put(&path, &json!({ "status": "completed", "expectedVersion": 1 })).await.ok(), done);
    let reopened = dana.put(&path, &json!({ "status": "open", "title": "Call Ben again" })).await.ok();
    assert_eq!(
        (&reopened["status"], reopened.get("completedBy"), reopened.get("completedAt")),
        (&json!("open"), None, None)
    );
    assert_eq!(reopened["comments"], done["comments"], "comments are only ever added");
    let listed = dana.get(TASKS).await.ok();
    assert_eq!((&listed[0]["commentCount"], listed[0].get("comments")), (&json!(2), None));
    refused(&noa.delete(&path).await, 403, "forbidden");
    dana.delete(&path).await.ok();
    for answer in [dana.get(&path).await, dana.put(&path, &json!({ "title": "x" })).await, dana.delete(&path).await] {
        refused(&answer, 404, "not_found");
    }
    let left: i64 =
        sqlx::query_scalar("select count(*) from task_comments").fetch_one(&app.database.pool).await.expect("a count");
    assert_eq!(left, 0);
}

#[tokio::test]
async fn people_see_their_own_tasks_and_their_teams() {
    let app = TestApp::start().await;
    let dana = app.account("dana").await;
    let noa = of_team(&app, &dana, "noa", &["inbox", "leads"], "support").await;
    let ben = of_team(&app, &dana, "ben", &[], "sales").await;
    let lead = app.employee(&dana, "lead", &["people"]).await;
    let client = app.api_client(&dana).await;
    let teams = make(&dana, json!({ "title": "support's", "team": "support" })).await;
    let bens = make(&dana, json!({ "title": "ben's", "assigneeId": ben.id })).await;
    make(&dana, json!({ "title": "dana's" })).await;
    let noas = make(&noa, json!({ "title": "by noa, for ben", "assigneeId": ben.id })).await;
    for (who, seen) in [
        (&noa, vec!["by noa, for ben", "support's"]),
        (&ben, vec!["by noa, for ben", "ben's"]),
        (&lead, vec!["by noa, for ben", "dana's", "ben's", "support's"]),
        (&dana, vec!["by noa, for ben", "dana's", "ben's", "support's"]),
    ] {
        assert_eq!(titles(who, "").await, seen);
    }
    for (who, task, seen) in
        [(&noa, &teams, true), (&noa, &bens, false), (&ben, &teams, false), (&ben, &noas, true), (&lead, &bens, true)]
    {
        let path = path_of(task);
        let answers = [who.get(&path).await, who.put(&path, &json!({ "comment": "seen" })).await];
        for answer in answers {
            assert_eq!(answer.status, if seen { 200 } else { 404 }, "{}", answer.text);
        }
        if !seen {
            refused(&who.delete(&path).await, 404, "not_found");
        }
    }
    // What the team is counts now, not when the task was made.
    dana.put(&format!("/api/employees/{}", ben.id), &json!({ "team": "support" })).await.ok();
    assert_eq!(titles(&ben, "").await, ["by noa, for ben", "ben's", "support's"]);
    // Who gives a task away that others made has done so, and does not see it any more.
    let away = noa.put(&path_of(&teams), &json!({ "team": "sales" })).await.ok();
    assert_eq!(away["team"], "sales");
    refused(&noa.get(&path_of(&teams)).await, 404, "not_found");
    lead.delete(&path_of(&teams)).await.ok();
    for (method, path, body) in [
        (Method::GET, TASKS.to_owned(), None),
        (Method::POST, TASKS.to_owned(), Some(json!({ "title": "x" }))),
        (Method::GET, path_of(&bens), None),
        (Method::PUT, path_of(&bens), Some(json!({ "title": "x" }))),
        (Method::DELETE, path_of(&bens), None),
    ] {
        refused(&client.call(method, &path, body.as_ref()).await, 403, "forbidden");
    }
}

#[tokio::test]
async fn lists_are_filtered_and_paged() {
    let app = TestApp::start().await;
    let dana = app.account("dana").await;
    let noa = app.employee(&dana, "noa", &[]).await;
    for n in 0..5 {
        let task = json!({ "title": format!("task {n}"), "dueAt": format!("2026-12-0{}T12:00:00Z", n + 1),
                           "team": if n % 2 == 0 { "sales" } else { "support" } });
        let made = make(&dana, task).await;
        if n < 2 {
            dana.put(&path_of(&made), &json!({ "status": "completed", "assigneeId": noa.id })).await.ok();
        }
    }
    for (query, found) in [
        ("status=open", vec!["task 4", "task 3", "task 2"]),
        ("status=completed&team=sales", vec!["task 0"]),
        (&format!("assignee={}", noa.id), vec!["task 1", "task 0"]),
        ("team=support", vec!["task 3", "task 1"]),
        ("dueFrom=2026-12-02T12:00:00Z&dueTo=2026-12-03T12:00:00Z", vec!["task 2", "task 1"]),
        ("dueTo=2026-12-01T11:59:59Z", vec![]),
    ] {
        assert_eq!(titles(&dana, query).await, found, "{query}");
    }
    let (mut all, mut cursor) = (Vec::new(), String::new());
    loop {
        let answer = dana.get(&format!("{TASKS}?limit=2{cursor}")).await;
        let next = answer.header("x-next-cursor").map(|next| format!("&cursor={next}"));
        all.extend(answer.ok().as_array().expect("a list").iter().map(|it| it["title"].clone()));
        match next {
            Some(next) => cursor = next,
            None => break,
        }
    }
    assert_eq!(json!(all), json!(["task 4", "task 3", "task 2", "task 1", "task 0"]));
    for wrong in ["status=done", "assignee=me", "dueFrom=tomorrow", "dueTo=1-2-3", "cursor=zz", "limit=0"] {
        refused(&dana.get(&format!("{TASKS}?{wrong}")).await, 400, "invalid_request");
    }
}

#[tokio::test]
async fn what_a_task_names_is_the_accounts_own() {
    let app = TestApp::start().await;
    let dana = app.account("dana").await;
    dana.has_line().await.has_flow("Echo", &echo()).await;
    let lead = dana.post("/api/leads", &json!({ "phone": PHONE, "name": "Ben Levi" })).await.ok();
    app.customer_writes(PHONE, "hi").await;
    app.wait_for_answers(PHONE, 1).await;
    let conversation = dana.conversation_with(PHONE).await;
    let about = json!({ "title": "Ben Levi's offer", "notes": "Ben Levi", "conversationId": conversation["id"], "leadId": lead["id"] });
    let task = make(&dana, about).await;
    assert_eq!((&task["conversationId"], &task["leadId"]), (&conversation["id"], &lead["id"]));
    dana.put(&path_of(&task), &json!({ "comment": "Ben Levi called" })).await.ok();
    let noa = app.employee(&dana, "noa", &[]).await;
    dana.put(&format!("/api/employees/{}", noa.id), &json!({ "active": false })).await.ok();
    refused(&dana.post(TASKS, &json!({ "title": "x", "assigneeId": noa.id })).await, 409, "assignee_inactive");
    let nobody = Uuid::new_v4();
    for field in ["assigneeId", "conversationId", "leadId"] {
        refused(&dana.post(TASKS, &json!({ "title": "x", field: nobody })).await, 404, "not_found");
        refused(&dana.put(&path_of(&task), &json!({ field: nobody })).await, 404, "not_found");
    }
    for wrong in [
        json!({}),
        json!({ "title": " " }),
        json!({ "title": "x".repeat(201) }),
        json!({ "title": "x", "notes": "x".repeat(10_001) }),
        json!({ "title": "x", "team": " sales" }),
        json!({ "title": "x", "dueAt": "tomorrow" }),
        json!({ "title": "x", "assigneeId": "me" }),
        json!({ "title": "x", "status": "completed" }),
        json!({ "title": "x", "createdBy": dana.id }),
    ] {
        refused(&dana.post(TASKS, &wrong).await, 400, "invalid_request");
    }
    for wrong in
        [json!({ "comment": " " }), json!({ "comments": [] }), json!({ "version": 9 }), json!({ "status": "done" })]
    {
        refused(&dana.put(&path_of(&task), &wrong).await, 400, "invalid_request");
    }
    // Who is forgotten is forgotten here, too; the task stays.
    let contact = conversation["contactId"].as_str().expect("an id");
    dana.delete(&format!("/api/contacts/{contact}/personal-data")).await.ok();
    let left = dana.get(&path_of(&task)).await.ok();
    assert_eq!(
        (&left["title"], left.get("notes"), &left["comments"][0]["text"]),
        (&json!("erased"), None, &json!("erased"))
    );
    refused(&dana.post(TASKS, &json!({ "title": "x", "leadId": lead["id"] })).await, 404, "not_found");
    let entries: Vec<String> = sqlx::query_scalar("select details::text from audit_entries")
        .fetch_all(&app.database.pool)
        .await
        .expect("entries");
    assert!(!entries.join(" ").contains("Ben Levi"), "what people write about customers is not kept for ever");
}

#[tokio::test]
async fn a_lost_race_is_a_conflict_and_nothing_takes_effect_twice() {
    let app = TestApp::start().await;
    let dana = app.account("dana").await;
    let task = make(&dana, json!({ "title": "Race" })).await;
    let path = path_of(&task);
    let rename = |title: &str| json!({ "title": title, "expectedVersion": 1 });
    let (one, other) = (rename("one"), rename("other"));
    let (one, other) = tokio::join!(dana.put(&path, &one), dana.put(&path, &other));
    let mut statuses = [one.status.as_u16(), other.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409]);
    let lost = if one.status == 409 { one } else { other };
    refused(&lost, 409, "stale_version");
    // Without an expectation, everybody's comment is kept.
    let all = futures::future::join_all((0..8).map(|n| {
        let (dana, path) = (dana.clone(), path.clone());
        async move { dana.put(&path, &json!({ "comment": format!("comment {n}") })).await.status.as_u16() }
    }))
    .await;
    let kept = all.iter().filter(|status| **status == 200).count();
    assert!(all.iter().all(|status| [200, 409].contains(status)) && kept >= 5, "{all:?}");
    assert_eq!(dana.get(&path).await.ok()["commentCount"], json!(kept));
    // A comment whose answer got lost is not said twice, and neither is a task made twice.
    let comment = json!({ "comment": "once" });
    dana.keyed("comment", Method::PUT, &path, Some(&comment)).await.ok();
    let new = json!({ "title": "Once" });
    dana.keyed("make", Method::POST, TASKS, Some(&new)).await.ok();
    sqlx::query("delete from idempotency_keys").execute(&app.database.pool).await.expect("no answers");
    for (key, method, path, body) in
        [("comment", Method::PUT, path.as_str(), &comment), ("make", Method::POST, TASKS, &new)]
    {
        refused(&dana.keyed(key, method, path, Some(body)).await, 409, "idempotency_outcome_unknown");
    }
    assert_eq!(dana.get(&path).await.ok()["commentCount"], json!(kept + 1));
    assert_eq!(titles(&dana, "").await.len(), 2);
}
