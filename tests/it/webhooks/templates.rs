//! News of templates: they name a WhatsApp Business Account, and are for every account with a line in it.

use futures::future::join_all;
use serde_json::{Value, json};
use tests::app::{SignedIn, TestApp, eventually};
use tests::templates::{WABA, hebrew};
use tests::webhook::{of_account, signature};

fn status(name: &str, event: &str, ago: i64) -> Value {
    let value = json!({ "event": event, "message_template_id": 1, "message_template_name": name,
                        "message_template_language": "he", "reason": "NONE" });
    of_account(WABA, "message_template_status_update", &value, ago)
}

/// Where the account's template stands in the read model. A list would ask Meta, who has not said any of this.
async fn standing(app: &TestApp, account: &SignedIn, name: &str) -> Option<String> {
    let statement = "select status from template_view where tenant_id = $1::uuid and name = $2";
    let row = sqlx::query_scalar(statement).bind(&account.id).bind(name);
    row.fetch_optional(&app.database.pool).await.expect("a row")
}

async fn stands(app: &TestApp, account: &SignedIn, name: &str, status: &str) {
    let so = async || (standing(app, account, name).await.as_deref() == Some(status)).then_some(());
    eventually(&format!("{name} {status}"), so).await;
}

async fn journal_is_empty(app: &TestApp) {
    eventually("an empty journal", async || {
        let left = "select count(*) from webhook_journal where state = 0";
        let left: i64 = sqlx::query_scalar(left).fetch_one(&app.database.pool).await.ok()?;
        (left == 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn the_same_news_five_times_at_once_and_again_later_are_one_effect() {
    let app = TestApp::start().await;
    let dana = app.account("dana").await;
    dana.has_line().await.submits(&hebrew("ours")).await;
    let (paused, approved) = (status("ours", "PAUSED", 0), status("ours", "APPROVED", -2));
    for answer in join_all((0..5).map(|_| app.deliver(&paused))).await {
        answer.ok();
    }
    stands(&app, &dana, "ours", "PAUSED").await;
    app.deliver(&approved).await.ok();
    stands(&app, &dana, "ours", "APPROVED").await;
    // Six days later Meta delivers it once more.
    app.deliver(&paused).await.ok();
    journal_is_empty(&app).await;
    assert_eq!(standing(&app, &dana, "ours").await.as_deref(), Some("APPROVED"));
    assert_eq!(app.events("template.status_changed").await, 2);
    assert_eq!(app.events("template.status_told_late").await, 0);
}

#[tokio::test]
async fn older_news_change_nothing_and_are_noted() {
    let app = TestApp::start().await;
    let dana = app.account("dana").await;
    dana.has_line().await.submits(&hebrew("ours")).await;
    app.deliver(&status("ours", "APPROVED", 0)).await.ok();
    stands(&app, &dana, "ours", "APPROVED").await;
    app.deliver(&status("ours", "REJECTED", 600)).await.ok();
    journal_is_empty(&app).await;
    eventually("a note", async || (app.events("template.status_told_late").await == 1).then_some(())).await;
    assert_eq!(standing(&app, &dana, "ours").await.as_deref(), Some("APPROVED"));
}

#[tokio::test]
async fn quality_and_components_are_followed() {
    let app = TestApp::start().await;
    let dana = app.account("dana").await;
    dana.has_line().await.submits(&hebrew("ours")).await;
    app.meta_decides("ours", &json!({ "quality": "YELLOW", "deliveries": 2 })).await;
    dana.template_is("ours", "quality", "YELLOW").await;
    app.meta_decides("ours", &json!({ "bodyText": "שלום {{1}}, קבענו ל-{{2}} בשעה {{3}}. להתראות!", "deliveries": 2 }))
        .await;
    let row = eventually("another body", async || {
        let row = dana.template("ours").await?;
        row["components"][1]["text"].as_str().filter(|text| text.contains("קבענו"))?;
        Some(row)
    })
    .await;
    assert_eq!(row["components"].as_array().map(Vec::len), Some(4), "the rest stays: {row}");
    journal_is_empty(&app).await;
    let (quality, components) =
        (app.events("template.quality_changed").await, app.events("template.components_changed").await);
    assert_eq!((quality, components), (1, 1));
}

#[tokio::test]
async fn every_account_in_the_business_account_hears_and_nobody_else() {
    let app = TestApp::start().await;
    let (dana, eve, carl) = (app.account("dana").await, app.account("eve").await, app.account("carl").await);
    dana.has_line().await;
    let line = |id: &str, waba: &str, secret: Option<&str>| json!({ "phoneNumberId": id, "wabaId": waba, "accessToken": "sandbox-token", "appSecret": secret });
    // Eve's line is in the same business account, and heard by a secret of its own; Carl's is in another one.
    eve.post("/api/settings/whatsapp", &line("300000000000003", WABA, Some("eves-own-secret"))).await.ok();
    carl.post("/api/settings/whatsapp", &line("400000000000004", "900000000000009", None)).await.ok();
    app.deliver(&status("shared", "APPROVED", 0)).await.ok();
    stands(&app, &dana, "shared", "APPROVED").await;
    journal_is_empty(&app).await;
    assert_eq!(app.events("template.discovered").await, 1, "the app's secret speaks for Dana's line alone");
    let body = serde_json::to_vec(&status("shared", "PAUSED", -1)).expect("JSON");
    app.deliver_bytes(&body, Some(&signature("eves-own-secret", &body))).await.ok();
    eventually("Eve's template", async || (app.events("template.discovered").await == 2).then_some(())).await;
    journal_is_empty(&app).await;
    stands(&app, &eve, "shared", "PAUSED").await;
    assert_eq!(standing(&app, &dana, "shared").await.as_deref(), Some("APPROVED"));
    assert_eq!(standing(&app, &carl, "shared").await, None);
    let forged = app.deliver_bytes(&body, Some(&signature("guessed", &body))).await;
    assert_eq!(forged.status.as_u16(), 401);
    let strange = of_account(
        "777",
        "message_template_status_update",
        &json!({ "event": "APPROVED",
        "message_template_name": "shared", "message_template_language": "he" }),
        0,
    );
    app.deliver(&strange).await.ok();
    journal_is_empty(&app).await;
    let parked: i64 = sqlx::query_scalar("select count(*) from parked_elements where reason like '%777%'")
        .fetch_one(&app.database.pool)
        .await
        .expect("a count");
    assert_eq!(parked, 1, "nothing is lost");
}

#[tokio::test]
async fn collected_news_of_templates_are_understood() {
    let app = TestApp::start().await;
    let dana = app.account("dana").await;
    dana.has_line().await;
    let here = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = [here.join("fixtures/vendors/whatsapp"), here.join("../../shared/fixtures/whatsapp")];
    let files = folders.iter().flat_map(|folder| std::fs::read_dir(folder).into_iter().flatten().flatten());
    let is_news = |name: &str| name.starts_with("message_template_") || name.starts_with("template_");
    let mut told = 0_i64;
    for file in files.filter(|file| is_news(&file.file_name().to_string_lossy())) {
        let mut body: Value = serde_json::from_slice(&std::fs::read(file.path()).expect("bytes")).expect("JSON");
        body["entry"][0]["id"] = json!(WABA);
        // One after the other, in whatever order the files come.
        body["entry"][0]["time"] = json!(chrono::Utc::now().timestamp() - 1_000 + 10 * told);
        app.deliver(&body).await.ok();
        told += 1;
    }
    assert!(told >= 5, "{told}");
    journal_is_empty(&app).await;
    let parked: Vec<String> =
        sqlx::query_scalar("select reason from parked_elements").fetch_all(&app.database.pool).await.expect("rows");
    assert!(parked.is_empty(), "{parked:?}");
    let heard = "select count(*) from events where aggregate_type = 'template'";
    let heard: i64 = sqlx::query_scalar(heard).fetch_one(&app.database.pool).await.expect("a count");
    assert!(heard >= 5, "{heard}");
}
