//! What came of approved templates.

use serde_json::{Value, json};
use tests::app::{LINE, SignedIn, TestApp, eventually};
use tests::templates::hebrew;

const AUDIT: &str = "/api/templates/approved-audit";
const ONE: &str = "+972501234567";
const OTHER: &str = "+972501234568";
/// Messages to it are taken, and fail afterwards.
const LOST: &str = "+15569131026";

/// Waits until the conversation with a phone has so many messages of the customer.
async fn received(who: &SignedIn, phone: &str, many: u64) {
    eventually(&format!("{many} messages from {phone}"), async || {
        let rows = who.get("/api/conversations?stats=true").await.ok();
        let row = rows.as_array()?.iter().find(|it| it["waPhoneNumber"] == phone)?.clone();
        (row["stats"]["received"] == many).then_some(())
    })
    .await;
}

#[tokio::test]
async fn sends_are_counted_by_what_came_of_them_and_by_who_had_them_sent() {
    let app = TestApp::start().await;
    let dana = app.account("dana").await;
    dana.has_line().await;
    let (first, second) = (hebrew("first"), hebrew("second"));
    for template in [&first, &second, &hebrew("never_sent")] {
        app.approves(&dana, template).await;
    }
    dana.submits(&hebrew("pending")).await;
    let eli = app.employee(&dana, "eli", &["inbox", "templates"]).await;
    for phone in [ONE, OTHER, LOST] {
        app.customer_writes(phone, "hi").await;
    }
    app.is_sent(&dana, ONE, &first, "read").await;
    app.customer_writes(ONE, "thanks").await;
    app.customer_writes(ONE, "see you").await;
    received(&dana, ONE, 3).await;
    // The second template there is not answered: the words before it were for the first.
    app.is_sent(&eli, ONE, &second, "read").await;
    let unanswered = app.is_sent(&eli, OTHER, &first, "read").await;
    // A reaction is no reply.
    let reaction = json!({ "message_id": unanswered["providerMessageId"], "emoji": "👍" });
    app.customer_does(OTHER, &json!({ "phoneNumberId": LINE, "type": "reaction", "media": reaction })).await;
    received(&dana, OTHER, 2).await;
    app.is_sent(&dana, LOST, &first, "failed").await;

    let audit = dana.get(AUDIT).await.ok();
    let names: Vec<&Value> = audit["templates"].as_array().expect("rows").iter().map(|it| &it["name"]).collect();
    assert_eq!(json!(names), json!(["first", "never_sent", "second"]), "{audit}");
    let counts = |figures: &Value| {
        let names = ["sends", "deliveries", "reads", "failures", "replies24h", "replies7d", "readRate", "replyRate"];
        json!(names.map(|name| figures[name].clone()))
    };
    let figures = |n: usize| counts(&audit["templates"][n]["figures"]);
    assert_eq!(figures(0), json!([3, 2, 2, 1, 1, 1, 1.0, 0.5]), "{audit}");
    assert_eq!(figures(1), json!([0, 0, 0, 0, 0, 0, null, null]));
    assert_eq!(figures(2), json!([1, 1, 1, 0, 0, 0, 1.0, 0.0]));
    assert_eq!(counts(&audit["totals"]), json!([4, 3, 3, 1, 1, 1, 1.0, 1.0 / 3.0]));
    assert_eq!(audit["templates"][1]["lastSentAt"], Value::Null);
    let owners = audit["templates"][0]["owners"].as_array().expect("owners");
    let owners: Vec<Value> =
        owners.iter().map(|it| json!([it["by"], it["userId"], it["name"], it["figures"]["sends"]])).collect();
    assert_eq!(json!(owners), json!([["user", dana.id, "dana", 2], ["user", eli.id, "eli", 1]]));

    // A day and an hour went by before the answer, by the read model.
    let later = "update message_view set body = jsonb_set(body, '{at}', to_jsonb(to_char(
                    now() at time zone 'utc' + interval '25 hours', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')))
                  where body ->> 'direction' = 'inbound'";
    sqlx::query(later).execute(&app.database.pool).await.expect("an update");
    let audit = dana.get(&format!("{AUDIT}?days=1")).await.ok();
    let replies = ["replies24h", "replies7d"].map(|name| audit["totals"][name].clone());
    assert_eq!(json!(replies), json!([0, 1]));
    let mallory = app.account("mallory").await;
    assert_eq!(mallory.get(AUDIT).await.ok()["templates"], json!([]));
    crate::rest::refused(&dana.get(&format!("{AUDIT}?days=91")).await, 400, "invalid_request");
}
