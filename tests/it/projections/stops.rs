//! What stops goes on: a halted projection once its event can be read, a paused build, a model whose code was wrong.

use std::collections::HashSet;
use std::sync::Arc;

use application::conversations::message_view::MessageView;
use application::flows::views::FlowVersionView;
use application::leads::views::LeadView;
use application::log::{Document, Recorded};
use application::projections::Projections;
use domain::conversation::event::ConversationEvent;
use domain::flow::event::FlowEvent;
use domain::lead::Lead;
use domain::lead::event::LeadEvent;
use infrastructure::event_store::projector::{DocumentProjection, Projection};
use infrastructure::event_store::rebuild::Rebuilder;
use infrastructure::event_store::rebuild::admin::PgProjections;
use reqwest::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sqlx::PgPool;
use tests::app::{TestApp, eventually};
use tests::past;
use tokio_util::sync::CancellationToken;

use crate::projections::history::{dump, forget, lived, run};
use crate::projections::rebuilds::{comes_to, row};

async fn poison(pool: &PgPool, stream: &str) {
    sqlx::query(
        "insert into events (aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata)
         values ('lead', $1, 100000, 'lead.sang', '1', '{\"type\": \"sang\"}', '{}')",
    )
    .bind(stream)
    .execute(pool)
    .await
    .expect("poison");
}

async fn surgery(pool: &PgPool, statement: &str) {
    for statement in [
        "alter table events disable trigger events_are_facts",
        statement,
        "alter table events enable trigger events_are_facts",
    ] {
        sqlx::query(statement).execute(pool).await.expect("surgery");
    }
}

#[tokio::test]
async fn a_halted_projection_shows_its_event_and_is_retried() {
    let app = TestApp::start().await;
    let (account, admin) = (app.account("dana").await, app.admin().await);
    let lead = json!({ "phone": "+972501234560", "name": "Dana" });
    let id = account.post("/api/leads", &lead).await.ok()["id"].as_str().expect("an id").to_owned();
    let stream = format!("{}/{id}", account.id);
    poison(&app.database.pool, &stream).await;
    let path = "/api/admin/projections/lead_view";
    let halted = comes_to(&admin, "lead_view", "halted").await;
    let error = halted["error"].as_str().expect("an error");
    assert!(error.contains("100000") && error.contains(&stream), "{error}");
    // Retried in vain, it halts again.
    assert_eq!(admin.post(&format!("{path}/resume"), &json!({})).await.status, StatusCode::ACCEPTED);
    comes_to(&admin, "lead_view", "halted").await;
    // A rebuild with the same code halts at the same event; what is live is not touched.
    admin.post(&format!("{path}/rebuild"), &json!({})).await.ok();
    let stopped = comes_to(&admin, "lead_view", "paused").await;
    let error = stopped["progress"]["error"].as_str().expect("an error");
    assert!(error.contains("100000") && error.contains(&stream), "{error}");
    assert_eq!(stopped["generation"], 1);
    // Once the event can be read, the build goes on; the live one stays halted, so there is nothing to compare with.
    surgery(&app.database.pool, "delete from events where event_type = 'lead.sang'").await;
    assert_eq!(admin.post(&format!("{path}/resume"), &json!({})).await.status, StatusCode::ACCEPTED);
    let running = comes_to(&admin, "lead_view", "running").await;
    assert_eq!(running["generation"], 2);
    assert!(running["differences"]["skipped"].as_str().expect("a reason").contains("halted"), "{running}");
    assert_eq!(account.get("/api/leads").await.ok().as_array().map(Vec::len), Some(1));
    let answer = account.post("/api/leads", &json!({ "phone": "+972501234561", "name": "Noa" })).await;
    assert_eq!(answer.header("projection-lag"), None, "it is in step");
}

#[tokio::test]
async fn a_halted_projection_goes_on_by_itself_once_it_can() {
    let app = TestApp::start().await;
    let (account, admin) = (app.account("dana").await, app.admin().await);
    let lead = json!({ "phone": "+972501234560", "name": "Dana" });
    let id = account.post("/api/leads", &lead).await.ok()["id"].as_str().expect("an id").to_owned();
    poison(&app.database.pool, &format!("{}/{id}", account.id)).await;
    comes_to(&admin, "lead_view", "halted").await;
    account.put("/api/leads/%2B972501234560", &json!({ "status": "won" })).await;
    surgery(&app.database.pool, "delete from events where event_type = 'lead.sang'").await;
    let resumed = admin.post("/api/admin/projections/lead_view/resume", &json!({})).await;
    assert_eq!((resumed.status, &resumed.body["error"]), (StatusCode::ACCEPTED, &Value::Null));
    eventually("the lead as it is", async || {
        let lead = account.get("/api/leads/%2B972501234560").await.ok();
        (lead["status"] == "won").then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_paused_build_keeps_what_it_has_and_goes_on_there() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let tenant = domain::shared::ids::TenantId(uuid::Uuid::now_v7());
    past::write(&app.database.pool, tenant, 2_500).await;
    comes_to(&admin, "conversation_view", "running").await;
    let lag = async || row(&admin, "conversation_view").await["lagEvents"].as_i64();
    eventually("the head", async || (lag().await == Some(0)).then_some(())).await;
    // The other models may still be on their way.
    let documents = async || {
        let mut all = dump(&app.database.pool).await;
        all.retain(|(table, ..)| table == "conversation_view");
        all
    };
    let before = documents().await;
    assert_eq!(before.len(), 2_500);
    let path = "/api/admin/projections/conversation_view";
    admin.post(&format!("{path}/rebuild"), &json!({})).await.ok();
    eventually("a slice", async || {
        let row = row(&admin, "conversation_view").await;
        (row["progress"]["eventsDone"].as_i64() > Some(0)).then_some(())
    })
    .await;
    admin.post(&format!("{path}/cancel"), &json!({})).await.ok();
    // A page that was under way may still come in; then nothing moves.
    let done = "select coalesce(sum(events_done), 0)::bigint from rebuild_slices";
    let count = async || -> i64 { sqlx::query_scalar(done).fetch_one(&app.database.pool).await.expect("a count") };
    let kept = eventually("rest", async || {
        let first = count().await;
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        (count().await == first).then_some(first)
    })
    .await;
    let paused = row(&admin, "conversation_view").await;
    assert_eq!((&paused["status"], &paused["progress"]["phase"]), (&json!("paused"), &json!("slices")), "{paused}");
    assert!(kept > 0 && kept < 50_000, "it was paused on its way: {kept}");
    let resumed = admin.post(&format!("{path}/resume"), &json!({})).await.ok();
    assert!(resumed["progress"]["eventsDone"].as_i64() >= Some(kept), "it goes on where it was: {resumed}");
    let running = comes_to(&admin, "conversation_view", "running").await;
    assert_eq!((&running["generation"], &running["differences"]["changed"]), (&json!(2), &json!(0)), "{running}");
    assert!(documents().await == before);
}

/// The leads' model with a fault: it takes every status for `new`.
#[derive(Default, Serialize, Deserialize)]
struct Broken(LeadView);

impl Document for Broken {
    const NAME: &'static str = LeadView::NAME;
    type Aggregate = Lead;

    fn key(recorded: &Recorded<LeadEvent>) -> Option<String> {
        LeadView::key(recorded)
    }

    fn apply(&mut self, recorded: &Recorded<LeadEvent>) -> bool {
        let kept = self.0.apply(recorded);
        self.0.status = "new".to_owned();
        kept
    }
}

#[tokio::test]
async fn a_model_that_was_wrong_is_fixed_by_a_rebuild_with_the_right_one() {
    let database = lived().await;
    let right = dump(&database.pool).await;
    forget(&database.pool).await;
    for projection in crate::projections::history::projections(&database.pool, 1_000) {
        if projection.name() != LeadView::NAME {
            run(projection.as_ref(), &database.pool).await;
        }
    }
    run(&DocumentProjection::<Broken>::new(tests::keys(&database.pool)), &database.pool).await;
    assert!(dump(&database.pool).await != right, "the fault shows");
    // The fix is deployed, and an administrator rebuilds.
    let fixed: Vec<Arc<dyn Projection>> =
        vec![Arc::new(DocumentProjection::<LeadView>::new(tests::keys(&database.pool)))];
    let admin = PgProjections::new(database.pool.clone(), fixed.clone());
    let stop = CancellationToken::new();
    let worker = tokio::spawn(Rebuilder::new(database.pool.clone(), fixed).run(stop.clone()));
    admin.rebuild(LeadView::NAME, false).await.expect("a rebuild");
    let row = eventually("a live generation", async || {
        let row = admin.one(LeadView::NAME).await.expect("a row");
        (row.status == "running").then_some(row)
    })
    .await;
    stop.cancel();
    worker.await.expect("a worker");
    let differences = row.differences.expect("it was compared");
    assert_eq!((differences.missing, differences.extra, differences.changed), (0, 0, 6), "{differences:?}");
    assert_eq!(dump(&database.pool).await, right);
}

/// Every golden event of an aggregate.
fn fixtures(aggregate: &str) -> Vec<(String, Value)> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/events").join(aggregate);
    let files = std::fs::read_dir(folder).expect("fixtures").map(|file| file.expect("a file").path());
    files
        .map(|path| {
            let name = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.split('.').next());
            let tag = format!("{aggregate}.{}", name.expect("a name"));
            let text = std::fs::read_to_string(&path).expect("a text");
            (tag, serde_json::from_str(&text).expect("JSON"))
        })
        .collect()
}

/// Whether a model's list names every event that says something to it, and nothing that is none.
fn lists<D: Document>(aggregate: &str, tags: &[(&str, &str)])
where
    <D::Aggregate as cqrs_es::Aggregate>::Event: serde::de::DeserializeOwned,
{
    let known: HashSet<&str> = tags.iter().map(|(tag, _)| *tag).collect();
    assert!(D::READS.iter().all(|tag| known.contains(tag)), "{:?}", D::READS);
    for (tag, payload) in fixtures(aggregate) {
        let stream =
            domain::shared::ids::StreamId::new(domain::shared::ids::TenantId(uuid::Uuid::nil()), uuid::Uuid::nil());
        let recorded = Recorded {
            stream,
            sequence: 1,
            event_id: uuid::Uuid::nil(),
            position: Default::default(),
            recorded_at: Default::default(),
            metadata: Default::default(),
            event: serde_json::from_value(payload).expect("an event"),
        };
        assert_eq!(D::key(&recorded).is_some(), D::READS.contains(&tag.as_str()), "{tag}");
    }
}

#[test]
fn models_list_the_events_they_need() {
    lists::<MessageView>("conversation", ConversationEvent::TAGS);
    lists::<FlowVersionView>("flow", FlowEvent::TAGS);
}
