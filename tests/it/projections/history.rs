//! A log with something of everything, and ways to fold it anew.

use std::sync::Arc;

use application::appointments::views::AppointmentView;
use application::conversations::message_view::MessageView;
use application::conversations::views::ConversationView;
use application::flows::views::{FlowVersionView, FlowView};
use application::leads::views::LeadView;
use application::templates::groups::GroupDocument;
use application::templates::views::TemplateDocument;
use infrastructure::event_store::projector::{DocumentProjection, Projection, Turn};
use serde_json::{Value, json};
use sqlx::{PgPool, Row};
use tests::app::{TestApp, eventually};
use tests::cluster::TestDatabase;
use tests::flows;
use tests::templates::hebrew_with;
use uuid::Uuid;

/// Every read model's table, which is its projection's name.
pub const TABLES: [&str; 8] = [
    "flow_view",
    "flow_version_view",
    "conversation_view",
    "message_view",
    "lead_view",
    "template_view",
    "template_group_view",
    "appointment_view",
];

/// Every projection with batches of this size.
pub fn projections(pool: &sqlx::PgPool, batch: i64) -> Vec<Arc<dyn Projection>> {
    vec![
        Arc::new(DocumentProjection::<FlowView>::with_batch(tests::keys(pool), batch)),
        Arc::new(DocumentProjection::<FlowVersionView>::with_batch(tests::keys(pool), batch)),
        Arc::new(DocumentProjection::<ConversationView>::with_batch(tests::keys(pool), batch)),
        Arc::new(DocumentProjection::<MessageView>::with_batch(tests::keys(pool), batch)),
        Arc::new(DocumentProjection::<LeadView>::with_batch(tests::keys(pool), batch)),
        Arc::new(DocumentProjection::<TemplateDocument>::with_batch(tests::keys(pool), batch)),
        Arc::new(DocumentProjection::<GroupDocument>::with_batch(tests::keys(pool), batch)),
        Arc::new(DocumentProjection::<AppointmentView>::with_batch(tests::keys(pool), batch)),
    ]
}

/// Lets people and customers do things, then stops the process. The read models are as it left them.
pub async fn lived() -> TestDatabase {
    let app = TestApp::start().await;
    let account = app.account("dana").await;
    account.has_line().await;
    let flow = account.has_flow("echo", &flows::echo()).await;
    let gone = account.has_flow("gone", &flows::echo()).await;
    account.put(&format!("/api/flows/{flow}"), &json!({ "name": "renamed" })).await.ok();
    account.delete(&format!("/api/flows/{gone}")).await.ok();
    for n in 0..6 {
        let phone = format!("97250000000{n}");
        for text in ["hello", "again"] {
            app.customer_writes(&phone, text).await;
        }
        account
            .post("/api/leads", &json!({ "phone": format!("+{phone}"), "name": "Dana", "fields": { "n": n } }))
            .await
            .ok();
        account.put(&format!("/api/leads/%2B{phone}"), &json!({ "status": "won" })).await.ok();
        let booking = json!({ "serviceName": "Cut", "start": format!("2031-03-04T1{n}:00:00Z"), "durationMinutes": 60,
                              "timezone": "UTC", "resourceId": "chair", "customerName": "Dana", "phone": format!("+{phone}") });
        let id = account.post("/api/calendar/appointments", &booking).await.ok()["id"].clone();
        let action = ["confirm", "cancel", "complete"][n % 3];
        account.put("/api/calendar/appointments", &json!({ "id": id, "action": action })).await.ok();
    }
    account.submits(&hebrew_with("told", json!({ "targetGroupName": "Bookings" }))).await;
    app.meta_decides("told", &json!({ "event": "APPROVED" })).await;
    account.template_is("told", "status", "APPROVED").await;
    let row = account.conversation_with("972500000000").await;
    let path = format!("/api/conversations/{}", row["id"].as_str().expect("an id"));
    account.put(&path, &json!({ "action": "claim" })).await;
    let counts = "select count(*) filter (where event_type = 'conversation.message_delivered') from events";
    eventually("every message delivered", async || {
        let delivered: i64 = sqlx::query_scalar(counts).fetch_one(&app.database.pool).await.expect("a count");
        (delivered == 12).then_some(())
    })
    .await;
    let database = app.stop().await;
    for projection in projections(&database.pool, 1_000) {
        run(projection.as_ref(), &database.pool).await;
    }
    database
}

/// Runs a projection to the head of the log. The head may be out of sight for a moment: a transaction anywhere in
/// the cluster holds the horizon, and a turn that was cut off the checkpoint.
pub async fn run(projection: &dyn Projection, pool: &PgPool) {
    let left = "select count(*) from events e, projections p where p.name = $1 and p.role = 'live'
                   and (e.log_epoch, e.transaction_id, e.global_position) > (p.log_epoch, p.transaction_id, p.position)";
    let look = async || {
        while matches!(projection.turn(pool).await.expect("a turn"), Turn::Advanced { events: 1.., .. }) {}
        let left: i64 = sqlx::query_scalar(left).bind(projection.name()).fetch_one(pool).await.expect("a count");
        (left <= 0).then_some(())
    };
    eventually(projection.name(), look).await;
}

/// Forgets every read model.
pub async fn forget(pool: &PgPool) {
    for table in TABLES {
        sqlx::query(&format!("truncate {table}")).execute(pool).await.expect("an empty table");
    }
    let reset = "update projections set log_epoch = 0, transaction_id = '0', position = 0, events_done = 0, status = 'running', error = null";
    sqlx::query(reset).execute(pool).await.expect("checkpoints at zero");
}

/// What the read models hold.
pub async fn dump(pool: &PgPool) -> Vec<(String, Uuid, String, Value)> {
    let mut all = Vec::new();
    for table in TABLES {
        let select = format!("select tenant_id, key, body from {table} order by tenant_id, key");
        let rows = sqlx::query(&select).fetch_all(pool).await.expect("a read model");
        all.extend(rows.iter().map(|row| (table.to_owned(), row.get("tenant_id"), row.get("key"), row.get("body"))));
    }
    all
}
