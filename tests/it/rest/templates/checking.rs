//! Whether customers were sent a template a short while ago.

use serde_json::{Value, json};
use tests::app::TestApp;
use tests::templates::{fields, hebrew};

use crate::rest::refused;

const CHECK: &str = "/api/templates/check-sent";
const DANA: &str = "+972501234567";
/// Messages to it are taken, and fail afterwards.
const LOST: &str = "+15569131026";
const NOBODY: &str = "+972500000001";

#[tokio::test]
async fn a_phone_was_sent_a_template_or_was_not() {
    let app = TestApp::start().await;
    let owner = app.account("owner").await;
    owner.has_line().await;
    let (template, other) = (hebrew("confirmation"), hebrew("reminder"));
    app.approves(&owner, &template).await;
    app.approves(&owner, &other).await;
    for phone in [DANA, LOST] {
        app.customer_writes(phone, "hi").await;
    }
    app.is_sent(&owner, DANA, &other, "read").await;
    let message = app.is_sent(&owner, DANA, &template, "read").await;
    app.is_sent(&owner, LOST, &template, "failed").await;

    let phones = json!([" 00972 50-123.4567", LOST, NOBODY, DANA]);
    let answer = owner.post(CHECK, &json!({ "phones": phones })).await.ok();
    let rows = answer["results"].as_array().expect("rows");
    let shown: Vec<Value> = rows.iter().map(|it| json!([it["phone"], it["sent"], it["last"]["status"]])).collect();
    assert_eq!(json!(shown), json!([[DANA, true, "read"], [LOST, false, "failed"], [NOBODY, false, null]]));
    let last = &rows[0]["last"];
    assert_eq!(json!([last["templateName"], last["language"]]), json!(["confirmation", "he"]), "the newest one");
    assert_eq!((&last["messageId"], last["at"].is_string()), (&message["id"], true));
    assert_eq!(json!([answer["hours"], answer["sentCount"], answer["notSentCount"]]), json!([24, 1, 2]));

    let named = owner.post(CHECK, &json!({ "phones": [DANA], "templateName": "reminder" })).await.ok();
    assert_eq!(named["results"][0]["last"]["templateName"], "reminder");
    let unknown = owner.post(CHECK, &json!({ "phones": [DANA], "templateName": "nobodys" })).await.ok();
    assert_eq!(unknown["results"][0], json!({ "phone": DANA, "sent": false, "last": null }));

    // A day and an hour ago, by the read model.
    let older = "update message_view set body = jsonb_set(body, '{statusAt,queued}', to_jsonb(to_char(
                    now() at time zone 'utc' - interval '25 hours', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')))
                  where template_name is not null";
    sqlx::query(older).execute(&app.database.pool).await.expect("an update");
    let within = async |hours: u32| {
        let path = format!("{CHECK}?phones=%2B972501234567,%2B972500000001&hours={hours}");
        let answer = owner.get(&path).await.ok();
        json!([answer["results"][0]["sent"], answer["results"][1]["sent"]])
    };
    assert_eq!((within(24).await, within(26).await), (json!([false, false]), json!([true, false])));
    // Another account has sent nobody anything.
    let mallory = app.account("mallory").await;
    let foreign = mallory.post(CHECK, &json!({ "phones": [DANA], "hours": 48 })).await.ok();
    assert_eq!(foreign["results"][0], json!({ "phone": DANA, "sent": false, "last": null }));
}

#[tokio::test]
async fn ten_thousand_phones_are_one_question_and_no_more_are_taken() {
    let app = TestApp::start().await;
    let owner = app.account("owner").await;
    let phones: Vec<String> = (0..10_001).map(|n| format!("+9725{n:08}")).collect();
    let answer = owner.post(CHECK, &json!({ "phones": phones[..10_000] })).await.ok();
    assert_eq!(json!([answer["sentCount"], answer["notSentCount"]]), json!([0, 10_000]));
    refused(&owner.post(CHECK, &json!({ "phones": phones })).await, 400, "invalid_request");
    let wrong = owner.post(CHECK, &json!({ "phones": [DANA, "0501234567", "x"] })).await;
    refused(&wrong, 400, "phone_invalid");
    assert_eq!(fields(&wrong), ["phones[1]", "phones[2]"]);
    for wrong in [json!({ "phones": [] }), json!({}), json!({ "phones": [DANA], "hours": 0 }), json!({ "phone": DANA })]
    {
        refused(&owner.post(CHECK, &wrong).await, 400, "invalid_request");
    }
    assert_eq!(owner.get(CHECK).await.ok()["results"], json!([]));
}
