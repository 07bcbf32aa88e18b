//! Rebuilt over REST while customers write and people read: nobody notices, and the result is the same.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sqlx::PgPool;
use tests::app::{SignedIn, TestApp, eventually};
use tests::flows;

use crate::projections::history::{TABLES, dump, projections, run};

/// Asks for a rebuild and waits until it is live.
pub async fn rebuilt(admin: &SignedIn, name: &str) -> Value {
    let path = format!("/api/admin/projections/{name}/rebuild");
    let asked = admin.post(&path, &json!({})).await;
    assert_eq!(asked.status, StatusCode::ACCEPTED, "{}", asked.text);
    assert_eq!(asked.body["status"], "rebuilding", "{}", asked.text);
    comes_to(admin, name, "running").await
}

/// Waits until the projection has a status.
pub async fn comes_to(admin: &SignedIn, name: &str, status: &str) -> Value {
    eventually(&format!("{name} {status}"), async || {
        let row = row(admin, name).await;
        (row["status"] == status).then_some(row)
    })
    .await
}

/// A projection's row.
pub async fn row(admin: &SignedIn, name: &str) -> Value {
    let rows = admin.get("/api/admin/projections").await.ok();
    let found = rows.as_array().expect("a list").iter().find(|row| row["name"] == name);
    found.cloned().unwrap_or_else(|| panic!("{name} in {rows}"))
}

/// An account that lives: its customers write, it reads, until it is over. Nothing may fail.
struct Load {
    over: Arc<AtomicBool>,
    written: Arc<AtomicU32>,
    tasks: tokio::task::JoinSet<()>,
}

impl Load {
    fn start(account: &SignedIn) -> Self {
        let (over, written) = (Arc::<AtomicBool>::default(), Arc::<AtomicU32>::default());
        let mut tasks = tokio::task::JoinSet::new();
        for writer in 0..2 {
            let (account, over, written) = (account.clone(), Arc::clone(&over), Arc::clone(&written));
            tasks.spawn(async move {
                for n in 0.. {
                    if over.load(Ordering::SeqCst) {
                        return;
                    }
                    let phone = format!("+97250{writer}{:06}", n % 50);
                    let lead = json!({ "phone": phone, "name": "Dana", "fields": { "n": n } });
                    let answer = account.post("/api/leads", &lead).await;
                    assert!(answer.status.is_success(), "a write failed: {}", answer.text);
                    if answer.header("projection-lag").is_some() {
                        // Whatever holds the horizon anywhere in the cluster delays reads; then it is said.
                        continue;
                    }
                    let path = format!("/api/leads/{}", phone.replace('+', "%2B"));
                    assert_eq!(account.get(&path).await.ok()["fields"]["n"], n, "a reader saw an old state");
                    written.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        let (account, stop) = (account.clone(), Arc::clone(&over));
        tasks.spawn(async move {
            while !stop.load(Ordering::SeqCst) {
                for path in ["/api/leads?limit=20", "/api/conversations", "/api/flows"] {
                    account.get(path).await.ok();
                }
            }
        });
        Self { over, written, tasks }
    }

    async fn end(mut self) {
        self.over.store(true, Ordering::SeqCst);
        while let Some(done) = self.tasks.join_next().await {
            done.expect("a client");
        }
    }
}

/// Whether what is live is what the log says.
async fn is_true(pool: &PgPool) {
    for projection in projections(pool, 1_000) {
        run(projection.as_ref(), pool).await;
    }
    let live = dump(pool).await;
    let mut truth = Vec::new();
    for (table, projection) in TABLES.into_iter().zip(projections(pool, 1_000)) {
        truth.extend(tests_fold(pool, table, projection.as_ref()).await);
    }
    assert_eq!(live, truth);
}

/// The read model folded from zero into a table of its own.
async fn tests_fold(
    pool: &PgPool,
    table: &str,
    projection: &dyn infrastructure::event_store::projector::Projection,
) -> Vec<(String, uuid::Uuid, String, Value)> {
    use infrastructure::event_store::generations::Which;
    use infrastructure::event_store::projector::Turn;
    for statement in [
        format!(
            "insert into projections (name, generation, role, phase) values ('{table}', 900, 'building', 'catching_up')
                 on conflict do nothing"
        ),
        format!("drop table if exists {table}_g900"),
        format!("create table {table}_g900 (like {table} including all)"),
    ] {
        sqlx::query(&statement).execute(pool).await.expect("a scratch generation");
    }
    let mut connection = pool.acquire().await.expect("a connection");
    while matches!(
        projection.turn_of(&mut connection, Which::Numbered(900), 1_000).await.expect("a turn"),
        Turn::Advanced { events: 1.., .. }
    ) {}
    let select = format!("select tenant_id, key, body from {table}_g900 order by tenant_id, key");
    let rows: Vec<(uuid::Uuid, String, Value)> = sqlx::query_as(&select).fetch_all(pool).await.expect("a read model");
    for statement in [format!("drop table {table}_g900"), "delete from projections where generation = 900".to_owned()] {
        sqlx::query(&statement).execute(pool).await.expect("no scratch");
    }
    rows.into_iter().map(|(tenant, key, body)| (table.to_owned(), tenant, key, body)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rebuild_under_load_fails_nobody_and_changes_nothing() {
    let app = TestApp::start().await;
    let account = app.account("dana").await;
    account.has_line().await.has_flow("echo", &flows::echo()).await;
    for n in 0..4 {
        app.customer_writes(&format!("97250000000{n}"), "hello").await;
    }
    account.conversation_with("972500000003").await;
    let admin = app.admin().await;
    let load = Load::start(&account);
    for (round, name) in ["lead_view", "conversation_view", "lead_view"].into_iter().enumerate() {
        let row = rebuilt(&admin, name).await;
        assert_eq!(row["generation"], if round == 2 { 3 } else { 2 }, "{row}");
        assert!(row["formerGeneration"].is_i64() && row["progress"].is_null(), "{row}");
        let differences = &row["differences"];
        let found = ["missing", "extra", "changed"].map(|kind| differences[kind].as_i64());
        assert_eq!(found, [Some(0); 3], "at the same cursor both are the same: {row}");
        assert!(differences["skipped"].is_null(), "they were compared: {row}");
    }
    eventually("more writes", async || (load.written.load(Ordering::SeqCst) > 20).then_some(())).await;
    load.end().await;
    assert_eq!(app.call(Method::GET, "/readyz", None, &[]).await.status, StatusCode::OK);
    let database = app.stop().await;
    is_true(&database.pool).await;
    let untended =
        "select relname::text from pg_class where relkind = 'r' and reloptions::text like '%autovacuum_enabled%'";
    let untended: Vec<String> = sqlx::query_scalar(untended).fetch_all(&database.pool).await.expect("tables");
    assert!(untended.is_empty(), "what lives is vacuumed: {untended:?}");
}

#[tokio::test]
async fn what_was_corrupted_by_hand_is_repaired_and_named() {
    let app = TestApp::start().await;
    let account = app.account("dana").await;
    let mut ids = Vec::new();
    for n in 0..3 {
        let lead = json!({ "phone": format!("+97250123456{n}"), "name": "Dana" });
        ids.push(account.post("/api/leads", &lead).await.ok()["id"].as_str().expect("an id").to_owned());
    }
    let before = dump(&app.database.pool).await;
    for statement in [
        format!("update lead_view set body = jsonb_set(body, '{{name}}', '\"Mallory\"') where key = '{}'", ids[0]),
        format!("delete from lead_view where key = '{}'", ids[1]),
        format!(
            "insert into lead_view (tenant_id, key, body) select tenant_id, 'ghost', body from lead_view where key = '{}'",
            ids[2]
        ),
    ] {
        sqlx::query(&statement).execute(&app.database.pool).await.expect("a corruption");
    }
    let admin = app.admin().await;
    let path = "/api/admin/projections/lead_view";
    // Asked to, it shows them first and waits.
    admin.post(&format!("{path}/rebuild"), &json!({ "confirmDifferences": true })).await.ok();
    let paused = comes_to(&admin, "lead_view", "paused").await;
    assert_eq!(account.get("/api/leads/%2B972501234560").await.ok()["name"], "Mallory", "nothing is swapped yet");
    let differences = &paused["progress"]["differences"];
    assert_eq!(
        (&differences["missing"], &differences["extra"], &differences["changed"]),
        (&json!(1), &json!(1), &json!(1))
    );
    let mut named: Vec<(&str, &str)> = differences["sample"]
        .as_array()
        .expect("a sample")
        .iter()
        .map(|it| (it["kind"].as_str().expect("a kind"), it["key"].as_str().expect("a key")))
        .collect();
    named.sort_unstable();
    assert_eq!(named, [("changed", ids[0].as_str()), ("extra", ids[1].as_str()), ("missing", "ghost")]);
    assert_eq!(admin.post(&format!("{path}/resume"), &json!({})).await.status, StatusCode::ACCEPTED);
    let row = comes_to(&admin, "lead_view", "running").await;
    assert_eq!((&row["generation"], &row["differences"]["changed"]), (&json!(2), &json!(1)), "{row}");
    assert_eq!(dump(&app.database.pool).await, before);
    assert_eq!(account.get("/api/leads/%2B972501234560").await.ok()["name"], "Dana");
}

#[tokio::test]
async fn a_rollback_brings_the_former_one_back_at_the_head() {
    let app = TestApp::start().await;
    let account = app.account("dana").await;
    let admin = app.admin().await;
    let path = "/api/admin/projections/lead_view";
    let none = admin.post(&format!("{path}/rollback"), &json!({})).await;
    assert_eq!((none.status, &none.body["code"]), (StatusCode::CONFLICT, &json!("no_former_generation")));
    account.post("/api/leads", &json!({ "phone": "+972501234560", "name": "before" })).await.ok();
    // The mark of the first generation: no event says so.
    sqlx::query("update lead_view set body = jsonb_set(body, '{email}', '\"first@example.com\"')")
        .execute(&app.database.pool)
        .await
        .expect("a mark");
    rebuilt(&admin, "lead_view").await;
    assert_eq!(account.get("/api/leads/%2B972501234560").await.ok()["email"], Value::Null);
    account.post("/api/leads", &json!({ "phone": "+972501234561", "name": "after" })).await.ok();
    assert_eq!(admin.post(&format!("{path}/rollback"), &json!({})).await.status, StatusCode::ACCEPTED);
    let row = eventually("the first generation", async || {
        let row = row(&admin, "lead_view").await;
        (row["generation"] == 1 && row["status"] == "running").then_some(row)
    })
    .await;
    assert_eq!(row["formerGeneration"], 2);
    assert_eq!(account.get("/api/leads/%2B972501234560").await.ok()["email"], "first@example.com");
    assert_eq!(account.get("/api/leads/%2B972501234561").await.ok()["name"], "after", "it was kept in step");
    let answer = account.post("/api/leads", &json!({ "phone": "+972501234562", "name": "later" })).await;
    assert_eq!(answer.header("projection-lag"), None);
    assert_eq!(account.get("/api/leads/%2B972501234562").await.ok()["name"], "later");
}

#[tokio::test]
async fn a_former_generation_goes_after_its_day() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    rebuilt(&admin, "flow_view").await;
    sqlx::query("update projections set former_since = now() - interval '25 hours' where role = 'former'")
        .execute(&app.database.pool)
        .await
        .expect("a day");
    eventually("no former generation", async || {
        let tables: i64 = sqlx::query_scalar("select count(*) from pg_tables where tablename like 'flow\\_view\\_g%'")
            .fetch_one(&app.database.pool)
            .await
            .expect("a count");
        (row(&admin, "flow_view").await["formerGeneration"].is_null() && tables == 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn progress_is_told_until_nothing_moves_any_more() {
    let app = TestApp::start().await;
    let account = app.account("dana").await;
    account.post("/api/leads", &json!({ "phone": "+972501234560", "name": "Dana" })).await.ok();
    let admin = app.admin().await;
    let path = "/api/admin/projections/lead_view";
    admin.post(&format!("{path}/rebuild"), &json!({})).await.ok();
    let told = admin.get(&format!("{path}/progress")).await;
    assert_eq!(told.header("content-type"), Some("text/event-stream"));
    let events: Vec<Value> = told
        .text
        .lines()
        .filter_map(|line| line.strip_prefix("data:"))
        .map(|json| serde_json::from_str(json.trim()).expect("an event"))
        .collect();
    let first = events.first().expect("an event");
    assert_eq!((&first["name"], &first["status"]), (&json!("lead_view"), &json!("rebuilding")), "{first}");
    assert!(first["progress"]["eventsTotal"].as_i64() >= Some(1), "{first}");
    let last = events.last().expect("an event");
    assert_eq!((&last["status"], &last["generation"]), (&json!("running"), &json!(2)), "{last}");
    // With nothing under way, there is one event.
    let quiet = admin.get(&format!("{path}/progress")).await;
    assert_eq!(quiet.text.matches("data:").count(), 1, "{}", quiet.text);
}

#[tokio::test]
async fn administrators_alone_rebuild_and_what_is_not_there_is_not_found() {
    let app = TestApp::start().await;
    let (account, admin) = (app.account("dana").await, app.admin().await);
    for path in ["lead_view/rebuild", "lead_view/cancel", "lead_view/resume", "lead_view/rollback"] {
        let path = format!("/api/admin/projections/{path}");
        assert_eq!(account.post(&path, &json!({})).await.status, StatusCode::FORBIDDEN, "{path}");
        assert_eq!(app.call(Method::POST, &path, None, &[]).await.status, StatusCode::UNAUTHORIZED, "{path}");
        let unknown = path.replace("lead_view", "no_view");
        assert_eq!(admin.post(&unknown, &json!({})).await.status, StatusCode::NOT_FOUND, "{unknown}");
    }
    for path in ["/api/admin/projections", "/api/admin/projections/lead_view/progress"] {
        assert_eq!(account.get(path).await.status, StatusCode::FORBIDDEN);
    }
    for (what, code) in [("cancel", "not_rebuilding"), ("resume", "not_stopped")] {
        let refused = admin.call(Method::POST, &format!("/api/admin/projections/lead_view/{what}"), None).await;
        assert_eq!((refused.status, &refused.body["code"]), (StatusCode::CONFLICT, &json!(code)), "{what}");
    }
    let wrong = admin.post("/api/admin/projections/lead_view/rebuild", &json!({ "confirm": true })).await;
    assert_eq!(wrong.status, StatusCode::BAD_REQUEST);
    // A second one beside the first is refused; without a body is as well as with an empty one.
    let stopped = app.stop().await;
    let app = TestApp::on(
        stopped,
        api::config::Options { roles: Some("api".to_owned()), ..Default::default() },
        api::middleware::rate_limit::RateLimits::lifted(),
    )
    .await;
    let admin = app.admin().await;
    let path = "/api/admin/projections/lead_view";
    assert_eq!(admin.call(Method::POST, &format!("{path}/rebuild"), None).await.status, StatusCode::ACCEPTED);
    let again = admin.post(&format!("{path}/rebuild"), &json!({})).await;
    assert_eq!((again.status, &again.body["code"]), (StatusCode::CONFLICT, &json!("rebuilding")));
    assert_eq!(admin.post(&format!("{path}/rollback"), &json!({})).await.status, StatusCode::CONFLICT);
    // Nobody carries it on here, so that each state can be seen.
    assert_eq!(admin.post(&format!("{path}/cancel"), &json!({})).await.ok()["status"], "paused");
    assert_eq!(admin.post(&format!("{path}/resume"), &json!({})).await.ok()["status"], "rebuilding");
    admin.post(&format!("{path}/cancel"), &json!({})).await.ok();
    let anew = admin.post(&format!("{path}/rebuild"), &json!({})).await.ok();
    assert_eq!((&anew["status"], &anew["progress"]["phase"]), (&json!("rebuilding"), &json!("slices")));
    let builds: i64 = sqlx::query_scalar("select count(*) from projections where role = 'building'")
        .fetch_one(&app.database.pool)
        .await
        .expect("a count");
    assert_eq!(builds, 1, "the one that was given up is gone");
    tokio::time::timeout(Duration::from_secs(10), app.stop()).await.expect("it stops");
}
