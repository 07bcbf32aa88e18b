//! What-if: recorded runs replayed on another graph.

use reqwest::Method;
use serde_json::{Value, json};
use tests::app::{SignedIn, TestApp, eventually};
use tests::flows::drawflow;

use super::refused;

const ANNA: &str = "+972501110001";
const BEN: &str = "+972501110002";
const CARLA: &str = "+972501110003";

/// Asks how many, twice if need be, and confirms; who opens with "wait" is asked otherwise, and too late after a second.
fn booking(confirmation: &str, answered: &str) -> Value {
    let waits = json!([{ "id": "waits", "rules": [{ "left": "trigger.text", "op": "equals", "right": "wait" }] }]);
    let ask = json!({ "text": "How many?", "saveAs": "n", "expect": "number", "maxRetries": 1, "retryText": "A number, please." });
    drawflow(&[
        ("1", "trigger_message", json!({}), &["2"]),
        ("2", "condition", json!({ "cases": waits }), &["7", "3"]),
        ("3", "ask", ask, &[answered, "5", "5"]),
        ("4", "send_text", json!({ "text": confirmation }), &[]),
        ("5", "send_text", json!({ "text": "Never mind." }), &["6"]),
        ("6", "end", json!({ "outcome": "lost" }), &[]),
        ("7", "ask", json!({ "text": "Still there?", "timeoutSec": 1 }), &["4", "5", "8"]),
        ("8", "delay", json!({ "seconds": 1 }), &["5"]),
    ])
}

fn plain() -> Value {
    booking("{{n}} it is.", "4")
}

/// Anna needs a retry, Ben never answers, Carla is right at once. Everything has come to rest.
async fn played(app: &TestApp) -> (SignedIn, String) {
    let dana = app.account("dana").await;
    let flow = dana.has_line().await.has_flow("Booking", &plain()).await;
    for (n, said) in ["hi", "many", "7"].into_iter().enumerate() {
        app.customer_writes(ANNA, said).await;
        app.wait_for_answers(ANNA, n + 1).await;
    }
    app.customer_writes(BEN, "wait").await;
    app.wait_for_answers(BEN, 2).await;
    for (n, said) in ["hello", "3"].into_iter().enumerate() {
        app.customer_writes(CARLA, said).await;
        app.wait_for_answers(CARLA, n + 1).await;
    }
    let unread = "select count(*) filter (where event_type = 'conversation.message_queued')
                       - count(*) filter (where event_type = 'conversation.message_read') from events";
    eventually("the last message is read", async || {
        let unread: i64 = sqlx::query_scalar(unread).fetch_one(&app.database.pool).await.expect("a count");
        (unread == 0).then_some(())
    })
    .await;
    (dana, format!("/api/flows/{flow}/what-if"))
}

fn counts(answer: &Value) -> [&Value; 6] {
    let sends = &answer["sends"];
    [&answer["runs"], &answer["same"], &answer["diverged"], &sends["added"], &sends["removed"], &sends["changed"]]
}

/// Everything that is stored, but for sessions.
async fn kept(app: &TestApp) -> Vec<String> {
    let tables: Vec<String> = sqlx::query_scalar(
        "select quote_ident(tablename) from pg_tables where schemaname = 'public'
            and (tablename like any (array['%view', 'events', 'outbox%', 'jobs', 'once', '%journal%', 'snapshots']))",
    )
    .fetch_all(&app.database.pool)
    .await
    .expect("tables");
    assert!(tables.len() >= 8, "{tables:?}");
    let mut all = Vec::new();
    for table in tables {
        let statement = format!("select t::text from {table} t order by 1");
        let rows: Vec<String> = sqlx::query_scalar(&statement).fetch_all(&app.database.pool).await.expect("rows");
        all.extend(rows.into_iter().map(|row| format!("{table}: {row}")));
    }
    all
}

/// The answer for a graph that says never mind after a second, once a second went by since Carla's answer.
async fn delayed(dana: &SignedIn, path: &str) -> Value {
    let question = json!({ "drawflowData": booking("{{n}} it is.", "8") });
    eventually("a second of silence", async || {
        let answer = dana.post(path, &question).await.ok();
        (counts(&answer) == [3, 1, 2, 2, 2, 0]).then_some(answer)
    })
    .await
}

/// The lines of a streamed answer.
async fn lines(dana: &SignedIn, path: &str, body: &Value) -> Vec<Value> {
    let answer = dana.call_with(Method::POST, path, Some(body), &[("accept", "application/x-ndjson")]).await;
    assert_eq!(answer.header("content-type"), Some("application/x-ndjson"), "{}", answer.text);
    answer.text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[tokio::test]
async fn what_runs_already_changes_nothing() {
    let app = TestApp::start().await;
    let (dana, path) = played(&app).await;
    // The sandbox tells that messages were read a moment after the flows are done.
    let read = "select count(*) from events where event_type = 'conversation.message_read'";
    eventually("every message read and shown", async || {
        let shown = "select (select sum((body -> 'stats' ->> 'read')::int) from conversation_view)
            + (select count(*) from message_view where body ->> 'status' = 'read')";
        let count = async |statement| sqlx::query_scalar::<_, i64>(statement).fetch_one(&app.database.pool).await;
        (count(read).await.ok()? == 7 && count(shown).await.ok()? == 14).then_some(())
    })
    .await;
    let before = kept(&app).await;
    for question in [json!({}), json!({ "version": 1 }), json!({ "drawflowData": plain() })] {
        let answer = dana.post(&path, &question).await.ok();
        assert_eq!(counts(&answer), [3, 3, 0, 0, 0, 0], "{question}: {answer}");
        assert_eq!((&answer["details"], &answer["skipped"]), (&json!([]), &json!(0)), "{answer}");
    }
    dana.post(&path, &json!({ "drawflowData": booking("Done.", "5") })).await.ok();
    assert_eq!(kept(&app).await, before, "nothing was sent or stored");
    assert_eq!(app.answers(ANNA).await.len() + app.answers(BEN).await.len() + app.answers(CARLA).await.len(), 7);
}

#[tokio::test]
async fn other_words_are_the_same_path() {
    let app = TestApp::start().await;
    let (dana, path) = played(&app).await;
    let answer = dana.post(&path, &json!({ "drawflowData": booking("So {{n}}.", "4") })).await.ok();
    assert_eq!(counts(&answer), [3, 3, 0, 0, 0, 2], "{answer}");
    let details = answer["details"].as_array().expect("details");
    assert_eq!(details.len(), 2, "Ben was told the same: {answer}");
    for run in details {
        assert_eq!(
            (&run["same"], &run["version"], &run["divergence"]),
            (&json!(true), &json!(1), &Value::Null),
            "{run}"
        );
    }
    let change = &details[1]["sends"]["changed"][0];
    assert_eq!(change["before"]["content"]["text"], "7 it is.", "newest conversation first: {answer}");
    assert_eq!(change["after"]["content"]["text"], "So 7.");
}

#[tokio::test]
async fn another_way_is_told_where_it_begins() {
    let app = TestApp::start().await;
    let (dana, path) = played(&app).await;
    let answer = delayed(&dana, &path).await;
    assert_eq!(answer["detailsTruncated"], false);
    let anna = &answer["details"][1];
    let conversation = dana.conversation_with(ANNA).await;
    assert_eq!((&anna["conversationId"], &anna["same"]), (&conversation["id"], &json!(false)), "{answer}");
    let divergence = &anna["divergence"];
    assert_eq!((&divergence["input"], &divergence["recorded"]["input"]), (&json!(2), &json!("reply")), "{anna}");
    let (recorded, replayed) = (&divergence["recorded"], &divergence["replayed"]);
    let visit = |node: &str, kind: &str, exit: &str| json!({ "node": node, "kind": kind, "exit": exit });
    assert_eq!(recorded["path"], json!([visit("3", "ask", "answered"), visit("4", "send_text", "next")]));
    assert_eq!(replayed["path"], json!([visit("3", "ask", "answered"), { "node": "8", "kind": "delay" }]));
    assert_eq!((&recorded["outcome"], &replayed["outcome"]), (&json!("completed"), &Value::Null));
    assert_eq!(recorded["at"], replayed["at"]);
    assert_eq!(anna["sends"]["removed"][0]["content"]["text"], "7 it is.");
    assert_eq!(anna["sends"]["added"][0]["content"]["text"], "Never mind.", "a second of silence later");
}

#[tokio::test]
async fn a_published_version_is_tried_on_runs_of_all_versions() {
    let app = TestApp::start().await;
    let (dana, path) = played(&app).await;
    let flow = path.trim_end_matches("/what-if");
    dana.put(flow, &json!({ "drawflowData": booking("OK, {{n}}.", "4"), "status": "active" })).await.ok();
    for (n, said) in ["hi again", "9"].into_iter().enumerate() {
        app.customer_writes(CARLA, said).await;
        assert!(n == 0 || app.wait_for_answers(CARLA, 4).await[3].contains("OK, 9."));
        app.wait_for_answers(CARLA, 3 + n).await;
    }
    let first = dana.post(&path, &json!({ "version": 1 })).await.ok();
    assert_eq!(counts(&first), [4, 4, 0, 0, 0, 1], "{first}");
    assert_eq!(first["details"][0]["version"], 2);
    let second = dana.post(&path, &json!({ "version": 2 })).await.ok();
    assert_eq!(counts(&second), [4, 4, 0, 0, 0, 2], "{second}");
    assert_eq!(second, dana.post(&path, &json!({})).await.ok(), "the saved graph is version 2");
}

#[tokio::test]
async fn runs_come_line_by_line_and_from_the_time_that_is_asked_for() {
    let app = TestApp::start().await;
    let (dana, path) = played(&app).await;
    let candidate = booking("{{n}} it is.", "8");
    delayed(&dana, &path).await;
    let told = lines(&dana, &path, &json!({ "drawflowData": candidate })).await;
    assert_eq!(told.len(), 4, "{told:?}");
    let total = &told[3]["total"];
    assert_eq!(counts(total), [3, 1, 2, 2, 2, 0], "{total}");
    assert_eq!(total.get("details"), None);
    let mut starts = Vec::new();
    for (n, line) in told[..3].iter().enumerate() {
        assert_eq!((&line["done"], &line["found"]), (&json!(n + 1), &json!(3)), "{line}");
        starts.push(line["run"]["startedAt"].as_str().expect("a time").to_owned());
    }
    assert!(starts.is_sorted_by(|a, b| a > b), "the newest conversation comes first: {starts:?}");
    // The log takes an event in after it happened: a run's own start is before its place in time.
    for (question, runs) in [
        (json!({ "limit": 1 }), 1),
        (json!({ "from": starts[0] }), 1),
        (json!({ "from": starts[1] }), 2),
        (json!({ "to": starts[0] }), 2),
        (json!({ "from": starts[2], "to": starts[1] }), 1),
        (json!({ "to": starts[2] }), 0),
    ] {
        let mut asked = question.clone();
        asked["drawflowData"] = candidate.clone();
        let told = lines(&dana, &path, &asked).await;
        assert_eq!((told.len(), &told[runs]["total"]["runs"]), (runs + 1, &json!(runs)), "{question}: {told:?}");
    }
    let newest = lines(&dana, &path, &json!({ "limit": 1 })).await;
    assert_eq!(newest[0]["run"]["startedAt"], json!(starts[0]));
}

#[tokio::test]
async fn what_cannot_be_tried_is_refused() {
    let app = TestApp::start().await;
    let (dana, path) = played(&app).await;
    let broken = drawflow(&[("1", "trigger_message", json!({}), &["2"]), ("2", "send_text", json!({}), &[])]);
    let problems = refused(&dana.post(&path, &json!({ "drawflowData": broken })).await, 400, "invalid_request");
    assert_eq!(problems["problems"][0]["nodeId"], "2", "{problems}");
    let both = json!({ "drawflowData": plain(), "version": 1 });
    let backwards = json!({ "from": "2026-11-02T00:00:00Z", "to": "2026-11-01T00:00:00Z" });
    for wrong in [both, backwards, json!({ "limit": 0 }), json!({ "limit": 10_001 }), json!({ "runs": 1 })] {
        refused(&dana.post(&path, &wrong).await, 400, "invalid_request");
    }
    refused(&dana.post(&path, &json!({ "version": 9 })).await, 404, "not_found");
    let mallory = app.account("mallory").await;
    refused(&mallory.post(&path, &json!({ "version": 1 })).await, 404, "not_found");
    refused(&dana.post("/api/flows/7/what-if", &json!({})).await, 404, "not_found");
}

#[tokio::test]
async fn runs_of_erased_contacts_are_passed_over() {
    let app = TestApp::start().await;
    let (dana, path) = played(&app).await;
    let conversation = dana.conversation_with(ANNA).await["id"].as_str().expect("an id").to_owned();
    let destroyed = sqlx::query(
        "with gone as (
            update contact_keys k set wrapped = null, erased_at = now() from contact_streams s
             where (k.tenant_id, k.contact_id) = (s.tenant_id, s.contact_id) and s.aggregate_id like '%/' || $1 returning 1)
         update erasures set count = count + (select count(*) from gone)",
    );
    destroyed.bind(&conversation).execute(&app.database.pool).await.expect("her key is destroyed");
    let answer = dana.post(&path, &json!({ "drawflowData": booking("So {{n}}.", "4") })).await.ok();
    assert_eq!(
        (counts(&answer), &answer["skipped"]),
        ([2, 2, 0, 0, 0, 1].map(|n| json!(n)).each_ref(), &json!(1)),
        "{answer}"
    );
    assert!(!answer.to_string().contains(&conversation), "{answer}");
}
