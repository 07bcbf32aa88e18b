//! A person who asks to be forgotten is: their words are nowhere, and everything else is as it was.

use api::config::Options;
use api::middleware::rate_limit::RateLimits;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sqlx::{PgPool, Row};
use tests::app::{SignedIn, TestApp, eventually};
use tests::flows::echo;
use tests::webhook::text_message;
use uuid::Uuid;

/// Who is erased: no part of these may be left.
const PHONE: &str = "972541239876";
const NAME: &str = "Ravid Ben-Zeevani";
const WORDS: &str = "my secret ailment";

/// A wamid as Meta makes it: the phone stands in it, in base64.
fn wamid(phone: &str, n: usize) -> String {
    format!("wamid.{}", STANDARD.encode(format!("\u{1c}\u{18}\u{c}{phone}\u{15}\u{2}\0\u{12}{n:06}")))
}

fn message(phone: &str, name: &str, n: usize, text: &str) -> Value {
    let mut webhook = text_message(phone, &wamid(phone, n), text);
    webhook["entry"][0]["changes"][0]["value"]["contacts"][0]["profile"]["name"] = json!(name);
    webhook
}

/// Every row of every table, as text: what a dump holds.
async fn dump(pool: &PgPool) -> Vec<(String, String)> {
    let tables: Vec<String> = sqlx::query_scalar("select tablename::text from pg_tables where schemaname = 'public'")
        .fetch_all(pool)
        .await
        .expect("the tables");
    let mut all = Vec::new();
    for table in tables {
        let rows = sqlx::query(&format!("select t::text as row from {table} t")).fetch_all(pool).await.expect("rows");
        all.extend(rows.iter().map(|row| (table.clone(), row.get::<String, _>("row"))));
    }
    // Bytes are dumped in hexadecimal: the journal's bodies are read as what they are.
    let bodies = sqlx::query_scalar::<_, Vec<u8>>("select body from webhook_journal").fetch_all(pool).await;
    let text = |body: Vec<u8>| ("webhook_journal".to_owned(), String::from_utf8_lossy(&body).into_owned());
    all.extend(bodies.expect("bodies").into_iter().map(text));
    all
}

/// Where the needle stands, as it is or as a wamid holds it.
fn found(dump: &[(String, String)], needle: &str) -> Vec<String> {
    let encoded = STANDARD.encode(needle);
    let holds = |row: &str| row.contains(needle) || row.contains(&encoded);
    dump.iter().filter(|(_, row)| holds(row)).map(|(table, row)| format!("{table}: {row}")).collect()
}

async fn idle(app: &TestApp) {
    eventually("nothing left to do", async || {
        let left: i64 = sqlx::query_scalar(
            "select (select count(*) from webhook_journal where state = 0) + (select count(*) from outbox)
                  + (select count(*) from events e where e.global_position > (select min(position) from projections))",
        )
        .fetch_one(&app.database.pool)
        .await
        .expect("a count");
        (left == 0).then_some(())
    })
    .await;
}

async fn setting() -> (TestApp, SignedIn) {
    let app = TestApp::start().await;
    let owner = app.account("dana").await;
    owner.has_line().await.has_flow("Echo", &echo()).await;
    (app, owner)
}

/// The person writes, is a lead, and is answered by somebody.
async fn meets(app: &TestApp, owner: &SignedIn) -> (String, String) {
    // The sandbox answers whom it knows to have written.
    app.customer_writes(PHONE, "hi").await;
    app.deliver(&message(PHONE, NAME, 1, WORDS)).await.ok();
    app.wait_for_answers(PHONE, 2).await;
    eventually("every answer read", async || {
        let read =
            "select count(*) from events where event_type = 'conversation.message_read' and aggregate_id like $1";
        let read = sqlx::query_scalar::<_, i64>(read).bind(format!("{}/%", owner.id)).fetch_one(&app.database.pool);
        (read.await.expect("a count") >= 2).then_some(())
    })
    .await;
    let row = owner.conversation_with(PHONE).await;
    let id = row["id"].as_str().expect("an id").to_owned();
    let contact = row["contactId"].as_str().expect("a contact").to_owned();
    owner
        .post("/api/leads", &json!({ "phone": format!("+{PHONE}"), "name": NAME, "fields": { "ailment": WORDS } }))
        .await
        .ok();
    for (hour, action) in
        [("10", json!({ "action": "confirm" })), ("12", json!({ "action": "cancel", "reason": WORDS }))]
    {
        let start = format!("2031-03-04T{hour}:00:00Z");
        let appointment = json!({ "serviceName": "Visit", "start": start, "durationMinutes": 30, "timezone": "UTC",
                                  "resourceId": "room", "customerName": NAME, "phone": format!("+{PHONE}"), "notes": WORDS });
        let mut change = action;
        change["id"] = owner.post("/api/calendar/appointments", &appointment).await.ok()["id"].clone();
        owner.put("/api/calendar/appointments", &change).await.ok();
    }
    idle(app).await;
    (id, contact)
}

#[tokio::test]
async fn one_of_a_thousand_is_forgotten_and_nobody_else() {
    let (app, owner) = setting().await;
    let others: Vec<String> = (0..999).map(|n| format!("97255{n:07}")).collect();
    for (n, phone) in others.iter().enumerate() {
        app.deliver(&message(phone, "Somebody Else", n, &format!("hello from {n}"))).await.ok();
    }
    let (id, contact) = meets(&app, &owner).await;
    let before = dump(&app.database.pool).await;
    assert!(!found(&before, PHONE).is_empty() && !found(&before, NAME).is_empty() && !found(&before, WORDS).is_empty());
    let counts = owner.get("/api/conversations?limit=1").await;
    let stats = owner.get("/api/conversations?stats=true&limit=200").await.ok();
    let of = |list: &Value| list.as_array().and_then(|rows| rows.iter().find(|row| row["id"] == id.as_str()).cloned());

    let erased = owner.delete(&format!("/api/contacts/{contact}/personal-data")).await.ok();
    assert!(erased["erasedAt"].is_string(), "{erased}");
    idle(&app).await;
    let after = dump(&app.database.pool).await;
    for needle in [PHONE, NAME, WORDS] {
        assert_eq!(found(&after, needle), Vec::<String>::new(), "{needle} is left");
    }
    let again = owner.get("/api/conversations?limit=1").await;
    assert_eq!(again.header("x-total-count"), counts.header("x-total-count"));
    let stats_after = owner.get("/api/conversations?stats=true&limit=200").await.ok();
    assert_eq!(of(&stats_after).expect("its row")["stats"], of(&stats).expect("its row")["stats"]);
    for phone in [&others[0], &others[500], &others[998]] {
        let row = owner.conversation_with(phone).await;
        assert_eq!(row["customerName"], "Somebody Else");
    }
}

#[tokio::test]
async fn what_is_left_tells_what_happened_and_not_of_whom() {
    let (app, owner) = setting().await;
    let (id, contact) = meets(&app, &owner).await;
    let path = format!("/api/contacts/{contact}/personal-data");
    let erased = owner.delete(&path).await.ok();

    let row = owner.get(&format!("/api/conversations/{id}")).await.ok();
    assert_eq!(row["status"], "closed");
    for gone in ["waPhoneNumber", "waUserId", "customerName"] {
        assert!(row[gone].is_null(), "{gone}: {row}");
    }
    let messages = row["messages"].as_array().expect("messages");
    assert_eq!(messages.len(), 4, "{row}");
    assert!(messages.iter().all(|it| it["text"].is_null() && it["providerMessageId"].is_null()), "{row}");
    assert_eq!(messages[1]["status"], "read");
    assert_eq!(owner.get(&format!("/api/leads/+{PHONE}")).await.status.as_u16(), 404);
    assert_eq!(owner.get("/api/leads").await.ok().as_array().map(Vec::len), Some(1), "the lead is still counted");
    let appointments = owner.get("/api/calendar/appointments").await.ok();
    let appointments = appointments.as_array().expect("a list");
    assert_eq!(appointments.len(), 2, "the appointments are still counted");
    assert!(
        appointments.iter().all(|it| it["status"] == "cancelled" && it["customerName"].is_null()),
        "{appointments:?}"
    );
    assert_eq!(
        owner
            .post(&format!("/api/conversations/{id}/reply"), &json!({ "messageType": "text", "text": "hi" }))
            .await
            .status
            .as_u16(),
        409
    );

    // Asked again: the same. Somebody else's, or nobody's: not found.
    assert_eq!(owner.delete(&path).await.ok(), erased);
    let eve = app.account("eve").await;
    assert_eq!(eve.delete(&path).await.status.as_u16(), 404);
    assert_eq!(owner.delete(&format!("/api/contacts/{}/personal-data", Uuid::now_v7())).await.status.as_u16(), 404);
    assert_eq!(eve.delete(&format!("{path}?account={}", owner.id)).await.status.as_u16(), 403);
    let admin = app.admin().await;
    assert_eq!(admin.delete(&format!("{path}?account={}", owner.id)).await.ok(), erased);
    let entries: Vec<String> =
        sqlx::query_scalar("select actor from audit_entries where action = 'contact.erased' and subject = $1")
            .bind(&contact)
            .fetch_all(&app.database.pool)
            .await
            .expect("entries");
    assert_eq!(entries, [format!("user:{}", owner.id)], "audited once");
}

#[tokio::test]
async fn who_writes_again_is_somebody_new() {
    let (app, owner) = setting().await;
    let (id, contact) = meets(&app, &owner).await;
    owner.delete(&format!("/api/contacts/{contact}/personal-data")).await.ok();
    app.deliver(&message(PHONE, NAME, 2, "me again")).await.ok();
    let row = eventually("a new conversation", async || {
        let row = owner.conversation_with(PHONE).await;
        (row["customerName"] == NAME).then_some(row)
    })
    .await;
    assert_ne!(row["id"], id.as_str());
    assert_ne!(row["contactId"], contact.as_str());
    let lead = owner.post("/api/leads", &json!({ "phone": format!("+{PHONE}"), "name": "Ravid" })).await.ok();
    assert_eq!((&lead["name"], &lead["contactId"]), (&json!("Ravid"), &row["contactId"]));
    assert_eq!(lead["fields"], json!({}), "nothing of before");
    // And the former one stays forgotten.
    let old = owner.get(&format!("/api/conversations/{id}")).await.ok();
    assert!(old["customerName"].is_null() && old["waPhoneNumber"].is_null(), "{old}");
}

#[tokio::test]
async fn a_run_under_way_ends_and_what_was_to_be_sent_is_not() {
    let (app, owner) = setting().await;
    let (id, contact) = meets(&app, &owner).await;
    // A message that waits because its line is stopped.
    sqlx::query(
        "insert into outbox (tenant_id, lane, bucket, message_id, recipient, content, expires_at, due_at)
         values ($1, $2, 'nowhere', gen_random_uuid(), '{}', '{}', now() + interval '1 day', now() + interval '1 hour')",
    )
    .bind(owner.id.parse::<Uuid>().expect("an id"))
    .bind(id.parse::<Uuid>().expect("an id"))
    .execute(&app.database.pool)
    .await
    .expect("a row");
    owner.delete(&format!("/api/contacts/{contact}/personal-data")).await.ok();
    let left: i64 =
        sqlx::query_scalar("select count(*) from outbox").fetch_one(&app.database.pool).await.expect("a count");
    assert_eq!(left, 0);
}

#[tokio::test]
async fn a_new_master_key_opens_everything_and_no_event_is_touched() {
    let key = |byte: u8| STANDARD.encode([byte; 32]);
    let options = |present: u8, former: Option<u8>| Options {
        secret_key: Some(key(present).into()),
        former_secret_key: former.map(|byte| key(byte).into()),
        ..Options::default()
    };
    let app = TestApp::start_with(options(1, None), RateLimits::lifted()).await;
    let owner = app.account("dana").await;
    owner.has_line().await.has_flow("Echo", &echo()).await;
    let (id, _) = meets(&app, &owner).await;
    let events =
        "select md5(string_agg(e::text, '|' order by global_position)) from events e where global_position <= $1";
    let last: i64 = sqlx::query_scalar("select max(global_position) from events")
        .fetch_one(&app.database.pool)
        .await
        .expect("a number");
    let before: String = sqlx::query_scalar(events).bind(last).fetch_one(&app.database.pool).await.expect("a digest");
    let shown = owner.get(&format!("/api/conversations/{id}")).await.ok();
    let wrapped = "select array_agg(wrapped order by contact_id) from contact_keys";
    let keys: Vec<String> = sqlx::query_scalar(wrapped).fetch_one(&app.database.pool).await.expect("keys");
    let database = app.stop().await;

    let app = TestApp::on(database, options(2, Some(1)), RateLimits::lifted()).await;
    eventually("every key wrapped anew", async || {
        let now: Vec<String> = sqlx::query_scalar(wrapped).fetch_one(&app.database.pool).await.expect("keys");
        now.iter().zip(&keys).all(|(now, before)| now != before).then_some(())
    })
    .await;
    let database = app.stop().await;

    let app = TestApp::on(database, options(2, None), RateLimits::lifted()).await;
    let owner = app.sign_in("dana", "correct horse").await;
    assert_eq!(owner.get(&format!("/api/conversations/{id}")).await.ok()["messages"], shown["messages"]);
    app.customer_writes(PHONE, "after the rotation").await;
    app.wait_for_answers(PHONE, 1).await;
    let now: String = sqlx::query_scalar(events).bind(last).fetch_one(&app.database.pool).await.expect("a digest");
    assert_eq!(now, before, "no event was touched");
}
