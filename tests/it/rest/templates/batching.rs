//! Many templates, submitted one after the other.

use api::config::Options;
use api::middleware::rate_limit::RateLimits;
use reqwest::Method;
use serde_json::{Value, json};
use tests::app::{SignedIn, TestApp, eventually};
use tests::detour::Detour;
use tests::templates::{fields, hebrew, hebrew_with};
use uuid::Uuid;

use crate::kill::child::Child;
use crate::rest::refused;

const BATCH: &str = "/api/templates/controlled-batch";

fn batch(templates: &[Value], interval_ms: u32) -> Value {
    json!({ "templates": templates, "intervalMs": interval_ms })
}

async fn starts(who: &SignedIn, body: &Value) -> String {
    let answer = who.post(BATCH, body).await;
    assert_eq!(answer.status.as_u16(), 202, "{}", answer.text);
    assert_eq!(json!([answer.body["success"], answer.body["status"]]), json!([true, "pending"]));
    format!("{BATCH}?jobId={}", answer.body["jobId"].as_str().expect("an id"))
}

async fn is(who: &SignedIn, job: &str, status: &str) -> Value {
    eventually(&format!("a job that is {status}"), async || {
        let shown = who.get(job).await.ok();
        (shown["status"] == status && shown["finishedAt"].is_string()).then_some(shown)
    })
    .await
}

fn states(job: &Value) -> Vec<&str> {
    let items = job["items"].as_array().expect("items");
    items.iter().filter_map(|it| it["state"].as_str()).collect()
}

#[tokio::test]
async fn every_problem_of_every_item_is_named_at_once() {
    let app = TestApp::start().await;
    let dana = app.account("dana").await;
    refused(&dana.post(BATCH, &batch(&[hebrew("a")], 0)).await, 409, "no_line");
    dana.has_line().await;
    let wrong = hebrew_with("Wrong", json!({ "components": [{ "type": "BODY", "text": "{{1}} hello there you" }] }));
    let answer = dana.post(BATCH, &batch(&[hebrew("a"), wrong, hebrew("b"), hebrew("a")], 0)).await;
    refused(&answer, 400, "invalid_request");
    let expected = [
        "templates[1].name",
        "templates[1].components[0].text",
        "templates[1].components[0].example.body_text",
        "templates[3].name",
    ];
    assert_eq!(fields(&answer), expected, "{}", answer.text);
    for wrong in
        [json!({ "templates": [] }), json!({}), batch(&vec![hebrew("a"); 201], 0), json!({ "templates": [{}] })]
    {
        refused(&dana.post(BATCH, &wrong).await, 400, "invalid_request");
    }
    assert_eq!(app.events("template.submitted").await, 0);
    let kept: i64 =
        sqlx::query_scalar("select count(*) from template_batches").fetch_one(&app.database.pool).await.expect("n");
    assert_eq!(kept, 0);
}

#[tokio::test]
async fn each_item_tells_what_became_of_it() {
    let app = TestApp::start().await;
    let dana = app.account("dana").await;
    dana.has_line().await;
    dana.submits(&hebrew("known")).await;
    dana.submits(&hebrew("taken")).await;
    let other = hebrew_with("taken", json!({ "components": [{ "type": "BODY", "text": "Something else" }] }));
    let items = [hebrew("new"), hebrew("known"), other, hebrew("refused_2388072")];
    let body = batch(&items, 0);
    let first = dana.keyed("once", Method::POST, BATCH, Some(&body)).await;
    let again = dana.keyed("once", Method::POST, BATCH, Some(&body)).await;
    assert_eq!((first.status.as_u16(), &first.body), (202, &again.body), "{}", first.text);
    let job = format!("{BATCH}?jobId={}", first.body["jobId"].as_str().expect("an id"));
    let done = is(&dana, &job, "completed").await;
    assert_eq!(states(&done), ["submitted", "already_there", "failed", "failed"], "{done}");
    let counts = ["total", "okCount", "failCount", "pendingCount", "cancelledCount"].map(|name| &done[name]);
    assert_eq!(json!(counts), json!([4, 2, 2, 0, 0]));
    let codes: Vec<&Value> = done["items"].as_array().expect("items").iter().map(|it| &it["code"]).collect();
    assert_eq!(json!(codes), json!([null, null, "template_exists", "invalid_request"]));
    assert_eq!(done["items"][3]["problems"][0]["field"], "components[1]", "{done}");
    let row = dana.template("new").await.expect("a row");
    assert_eq!((&row["status"], &row["id"]), (&json!("PENDING"), &done["items"][0]["templateId"]));
    let history = dana.get(&format!("/api/templates/{}/history", row["id"].as_str().expect("an id"))).await.ok();
    assert_eq!(history[0]["actor"], json!(format!("user:{}", dana.id)));
    assert_eq!(history[0]["correlationId"], first.body["jobId"]);
    refused(&dana.delete(&job).await, 409, "batch_over");
    let failed = starts(&dana, &batch(&[hebrew("again_2388072")], 0)).await;
    is(&dana, &failed, "failed").await;
    let mallory = app.account("mallory").await;
    let unknown = format!("{BATCH}?jobId={}", Uuid::new_v4());
    for method in [Method::GET, Method::DELETE] {
        let foreign = mallory.call(method.clone(), &job, None).await;
        refused(&foreign, 404, "not_found");
        assert_eq!(mallory.call(method, &unknown, None).await.body, foreign.body);
    }
    let entries = dana.get("/api/audit/entries?action=template_batch.started").await.ok();
    assert_eq!(entries.as_array().map(Vec::len), Some(2), "{entries}");
}

#[tokio::test]
async fn what_was_not_submitted_can_be_cancelled() {
    let app = TestApp::start().await;
    let dana = app.account("dana").await;
    dana.has_line().await;
    let items: Vec<Value> = (0..3).map(|n| hebrew(&format!("paced_{n}"))).collect();
    let job = starts(&dana, &batch(&items, 3_600_000)).await;
    let running = eventually("the first item", async || {
        let shown = dana.get(&job).await.ok();
        (shown["okCount"] == 1).then_some(shown)
    })
    .await;
    assert_eq!(
        (running["status"].as_str(), states(&running)),
        (Some("running"), vec!["submitted", "pending", "pending"])
    );
    let cancelled = dana.delete(&job).await.ok();
    let expected = (json!(["cancelled", 1, 2]), vec!["submitted", "cancelled", "cancelled"]);
    for shown in [&cancelled, &dana.delete(&job).await.ok(), &is(&dana, &job, "cancelled").await] {
        let facts = json!([shown["status"], shown["okCount"], shown["cancelledCount"]]);
        assert_eq!((facts, states(shown)), expected, "{shown}");
    }
    assert_eq!(app.at_meta().await["templates"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn a_deleted_accounts_job_submits_nothing_more() {
    let app = TestApp::start().await;
    let dana = app.account("dana").await;
    dana.has_line().await;
    let job = starts(&dana, &batch(&[hebrew("first"), hebrew("second")], 3_600_000)).await;
    eventually("the first item", async || (dana.get(&job).await.ok()["okCount"] == 1).then_some(())).await;
    app.admin().await.delete(&format!("/api/users/{}", dana.id)).await.ok();
    let jobs = "select array_agg(i.state order by i.n) || b.status || (b.finished_at is not null)::text
                  from template_batches b join template_batch_items i on i.batch_id = b.id group by b.id";
    let jobs: Vec<String> = sqlx::query_scalar(jobs).fetch_one(&app.database.pool).await.expect("a job");
    assert_eq!(jobs, ["submitted", "cancelled", "cancelled", "true"]);
}

#[tokio::test]
async fn metas_allowance_is_waited_for() {
    let app = TestApp::start().await;
    let dana = app.account("dana").await;
    dana.has_line().await;
    dana.submits(&hebrew("first")).await;
    let used = "update template_accounts set creations = array_fill(now() - interval '50 minutes', array[100])";
    sqlx::query(used).execute(&app.database.pool).await.expect("an update");
    let job = starts(&dana, &batch(&[hebrew("later"), hebrew("latest")], 0)).await;
    let waiting = eventually("a job that waits", async || {
        let shown = dana.get(&job).await.ok();
        shown["waitingUntil"].is_string().then_some(shown)
    })
    .await;
    assert_eq!((states(&waiting), &waiting["failCount"]), (vec!["pending", "pending"], &json!(0)), "{waiting}");
    assert!(waiting["waitingFor"].as_str().is_some_and(|it| it.contains("within an hour")), "{waiting}");
    let older = "update template_accounts set creations = array_fill(now() - interval '61 minutes', array[100])";
    sqlx::query(older).execute(&app.database.pool).await.expect("an update");
    sqlx::query("update template_batches set next_at = now()").execute(&app.database.pool).await.expect("an update");
    let done = is(&dana, &job, "completed").await;
    assert_eq!((states(&done), &done["waitingFor"]), (vec!["submitted", "submitted"], &Value::Null), "{done}");
}

/// What is left of a process that was killed after Meta took its second submission of four, and before anybody here
/// knew.
struct Killed {
    meta: TestApp,
    detour: Detour,
    app: TestApp,
    dana: SignedIn,
    job: String,
}

impl Killed {
    async fn in_the_middle() -> Self {
        let meta = TestApp::start().await;
        let detour = Detour::to(&format!("{}/sandbox/graph", meta.base)).await;
        let options = |roles: &str| Options {
            meta_graph_url: Some(detour.url.clone()),
            roles: Some(roles.to_owned()),
            ..Options::default()
        };
        // It takes the job in, and does nothing of it.
        let seed = TestApp::start_with(options("api,projector"), RateLimits::lifted()).await;
        let dana = seed.account("dana").await;
        dana.has_line().await;
        let items: Vec<Value> = (0..4).map(|n| hebrew(&format!("killed_{n}"))).collect();
        let job = starts(&dana, &batch(&items, 0)).await;
        let database = seed.stop().await;
        detour.loses_answers_from(2);
        let process = Child::start(&database, &detour.url).await;
        eventually("a submission nobody hears of", async || (detour.lost() == 1).then_some(())).await;
        drop(process);
        detour.is_mended();
        let app = TestApp::on(database, options("api,worker,projector"), RateLimits::lifted()).await;
        let dana = app.sign_in("dana", "correct horse").await;
        Self { meta, detour, app, dana, job }
    }

    /// The lease of the dead is a matter of minutes.
    async fn lease_runs_out(&self) {
        let over = "update template_batches set locked_until = now() - interval '1 second'";
        sqlx::query(over).execute(&self.app.database.pool).await.expect("an update");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_goes_on_after_a_kill_in_its_middle_and_submits_nothing_twice() {
    let killed = Killed::in_the_middle().await;
    killed.lease_runs_out().await;
    let done = is(&killed.dana, &killed.job, "completed").await;
    assert_eq!(states(&done), ["submitted"; 4], "{done}");
    let attempts: Vec<&Value> = done["items"].as_array().expect("items").iter().map(|it| &it["attempts"]).collect();
    assert_eq!(json!(attempts), json!([1, 2, 1, 1]));
    assert_eq!(killed.detour.submissions(), 4, "each was submitted once");
    assert_eq!(killed.meta.at_meta().await["templates"].as_array().map(Vec::len), Some(4));
    let app = &killed.app;
    assert_eq!((app.events("template.submitted").await, app.events("template.refused").await), (4, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_is_stopped_after_a_kill_finds_out_what_was_on_its_way() {
    let killed = Killed::in_the_middle().await;
    let stopped = killed.dana.delete(&killed.job).await.ok();
    assert_eq!(
        (states(&stopped), &stopped["finishedAt"]),
        (vec!["submitted", "submitting", "cancelled", "cancelled"], &Value::Null)
    );
    killed.lease_runs_out().await;
    let done = is(&killed.dana, &killed.job, "cancelled").await;
    assert_eq!(states(&done), ["submitted", "submitted", "cancelled", "cancelled"], "{done}");
    assert_eq!(killed.detour.submissions(), 2);
}
