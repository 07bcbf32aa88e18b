//! Appointments: made, confirmed, moved, called off, concluded; listed, and looked back at.

use serde_json::{Value, json};
use tests::app::{SignedIn, TestApp, eventually};
use uuid::Uuid;

use crate::rest::refused;

pub const PATH: &str = "/api/calendar/appointments";
const PHONE: &str = "+972501234567";

/// An appointment in the chair at this time of a day, with what differs.
pub fn at(time: &str, other: Value) -> Value {
    let mut body = json!({ "serviceName": "Haircut", "start": format!("2031-03-04T{time}:00Z"), "durationMinutes": 60,
                           "timezone": "Asia/Jerusalem", "resourceId": "chair-1", "customerName": "Dana Levi", "phone": PHONE });
    for (name, value) in other.as_object().expect("members") {
        body[name] = value.clone();
    }
    body
}

/// Makes an appointment; what is shown of it.
pub async fn booked(dana: &SignedIn, body: &Value) -> Value {
    let made = dana.post(PATH, body).await;
    assert_eq!(made.status.as_u16(), 201, "{}", made.text);
    made.ok()
}

/// A change of an appointment.
pub fn change(appointment: &Value, action: &str, other: Value) -> Value {
    let mut body = json!({ "id": appointment["id"], "action": action });
    for (name, value) in other.as_object().expect("members") {
        body[name] = value.clone();
    }
    body
}

fn path(appointment: &Value) -> String {
    format!("{PATH}/{}", appointment["id"].as_str().expect("an id"))
}

#[tokio::test]
async fn an_appointment_is_made_for_whoever_has_the_phone() {
    let app = TestApp::start().await;
    let dana = app.account("dana").await;
    let more = json!({ "serviceId": "cut", "start": "2031-03-04T12:00:00+02:00", "email": "dana@example.com",
                       "notes": "first visit", "bufferBeforeMinutes": 5, "bufferAfterMinutes": 10 });
    let made = booked(&dana, &at("00:00", more)).await;
    let expected = json!({
        "status": "booked", "source": "staff", "serviceId": "cut", "serviceName": "Haircut", "version": 1,
        "start": "2031-03-04T10:00:00.000Z", "end": "2031-03-04T11:00:00.000Z", "durationMinutes": 60,
        "timezone": "Asia/Jerusalem", "resourceId": "chair-1", "bufferBeforeMinutes": 5, "bufferAfterMinutes": 10,
        "customerName": "Dana Levi", "phone": PHONE, "email": "dana@example.com", "notes": "first visit",
    });
    for (name, value) in expected.as_object().expect("members") {
        assert_eq!(&made[name], value, "{name}: {made}");
    }
    assert_eq!(dana.get(&path(&made)).await.ok(), made);
    let lead = dana.post("/api/leads", &json!({ "phone": PHONE })).await.ok();
    assert_eq!(lead["contactId"], made["contactId"], "one contact a phone");
    let again = booked(&dana, &at("14:00", json!({ "end": "2031-03-04T14:20:00Z", "durationMinutes": null }))).await;
    assert_eq!((&again["contactId"], &again["durationMinutes"]), (&made["contactId"], &json!(20)));
    refused(&dana.get(&format!("{PATH}/{}", Uuid::new_v4())).await, 404, "not_found");
    refused(&dana.get(&format!("{PATH}/none")).await, 404, "not_found");
}

#[tokio::test]
async fn an_appointment_changes_until_it_ends() {
    let app = TestApp::start().await;
    let dana = app.account("dana").await;
    let made = booked(&dana, &at("10:00", json!({}))).await;
    let confirmed = dana.put(PATH, &change(&made, "confirm", json!({ "expectedVersion": 1 }))).await.ok();
    assert_eq!((&confirmed["status"], &confirmed["version"]), (&json!("confirmed"), &json!(2)));
    let again = dana.put(PATH, &change(&made, "confirm", json!({ "expectedVersion": 1 }))).await.ok();
    assert_eq!(again, confirmed, "the same twice is one");
    let stale = change(&made, "complete", json!({ "expectedVersion": 1 }));
    refused(&dana.put(PATH, &stale).await, 409, "stale_version");
    let time = json!({ "start": "2031-03-05T09:00:00Z", "timezone": "Europe/Rome", "resourceId": null });
    let moved = dana.put(PATH, &change(&made, "reschedule", time.clone())).await.ok();
    assert_eq!(
        (&moved["start"], &moved["end"], &moved["durationMinutes"]),
        (&json!("2031-03-05T09:00:00.000Z"), &json!("2031-03-05T10:00:00.000Z"), &json!(60))
    );
    assert_eq!(
        (&moved["timezone"], &moved["resourceId"], &moved["status"]),
        (&json!("Europe/Rome"), &Value::Null, &json!("confirmed"))
    );
    assert_eq!(dana.put(PATH, &change(&made, "reschedule", time)).await.ok(), moved, "the same twice is one");
    let cancel = change(&made, "cancel", json!({ "reason": "has to work", "cancelledBy": "customer" }));
    let gone = dana.put(PATH, &cancel).await.ok();
    assert_eq!(
        (&gone["status"], &gone["cancelledBy"], &gone["cancellationReason"], &gone["version"]),
        (&json!("cancelled"), &json!("customer"), &json!("has to work"), &json!(4))
    );
    for action in ["confirm", "complete", "no_show"] {
        refused(&dana.put(PATH, &change(&made, action, json!({}))).await, 409, "appointment_ended");
    }
    for (action, status) in [("complete", "completed"), ("no_show", "no_show")] {
        let other = booked(&dana, &at("10:00", json!({}))).await;
        let ended = dana.put(PATH, &change(&other, action, json!({}))).await.ok();
        assert_eq!(ended["status"], status);
        refused(&dana.put(PATH, &change(&other, "cancel", json!({}))).await, 409, "appointment_ended");
    }
    let history = dana.get(&format!("{}/history", path(&made))).await.ok();
    let kinds: Vec<&str> = history.as_array().expect("events").iter().filter_map(|it| it["type"].as_str()).collect();
    let expected = ["appointment.booked", "appointment.confirmed", "appointment.rescheduled", "appointment.cancelled"];
    assert_eq!(kinds, expected);
    let (from, to) = (&history[2]["payload"]["from"], &history[2]["payload"]["to"]);
    assert_eq!(
        (&from["start"], &to["start"], &from["resourceId"], &to["resourceId"]),
        (&json!("2031-03-04T10:00:00Z"), &json!("2031-03-05T09:00:00Z"), &json!("chair-1"), &Value::Null)
    );
    let id = made["id"].as_str().expect("an id");
    assert_eq!(dana.get(&format!("/api/audit/appointment/{id}/events")).await.ok(), history);
    let before = history[1]["position"].as_str().expect("one");
    assert_eq!(dana.get(&format!("{}?at={before}", path(&made))).await.ok(), confirmed);
}

#[tokio::test]
async fn appointments_are_listed_in_the_order_of_the_calendar() {
    let app = TestApp::start().await;
    let dana = app.account("dana").await;
    for (time, other) in [
        ("12:00", json!({ "customerName": "noon" })),
        ("08:00", json!({ "customerName": "morning", "resourceId": "chair-2" })),
        ("10:00", json!({ "customerName": "ten" })),
    ] {
        booked(&dana, &at(time, other)).await;
    }
    let names = async |query: &str| -> Vec<String> {
        let rows = dana.get(&format!("{PATH}{query}")).await.ok();
        let name = |row: &Value| row["customerName"].as_str().unwrap_or_default().to_owned();
        rows.as_array().expect("a list").iter().map(name).collect()
    };
    assert_eq!(names("").await, ["morning", "ten", "noon"]);
    assert_eq!(names("?resourceId=chair-1").await, ["ten", "noon"]);
    assert_eq!(names("?from=2031-03-04T09:00:00Z&to=2031-03-04T12:00:00Z").await, ["ten"], "both ends are open");
    assert_eq!(names("?from=2031-03-04T08:59:00Z&to=2031-03-04T10:01:00Z").await, ["morning", "ten"]);
    let rows = dana.get(PATH).await;
    assert_eq!(rows.header("x-total-count"), Some("3"));
    dana.put(PATH, &change(&rows.ok()[1], "confirm", json!({}))).await.ok();
    assert_eq!(names("?status=confirmed").await, ["ten"]);
    let first = dana.get(&format!("{PATH}?limit=2")).await;
    let cursor = first.header("x-next-cursor").expect("a cursor").to_owned();
    assert_eq!(names(&format!("?limit=2&cursor={cursor}")).await, ["noon"]);
    for wrong in ["?from=soon", "?from=1-2-3", "?status=open", "?limit=0"] {
        refused(&dana.get(&format!("{PATH}{wrong}")).await, 400, "invalid_request");
    }
}

#[tokio::test]
async fn what_is_no_appointment_is_refused() {
    let app = TestApp::start().await;
    let dana = app.account("dana").await;
    for wrong in [
        json!({ "serviceName": null }),
        json!({ "serviceName": "x".repeat(201) }),
        json!({ "start": "2031-03-04" }),
        json!({ "start": "2031-03-04T10:00:30Z" }),
        json!({ "durationMinutes": null }),
        json!({ "durationMinutes": 0 }),
        json!({ "durationMinutes": 44_641 }),
        json!({ "durationMinutes": 4_294_967_295_u32 }),
        json!({ "end": "2031-03-04T11:00:00Z" }),
        json!({ "end": "2031-03-04T10:00:00Z", "durationMinutes": null }),
        json!({ "start": "1999-03-04T10:00:00Z" }),
        json!({ "timezone": "Jerusalem" }),
        json!({ "resourceId": "" }),
        json!({ "bufferAfterMinutes": 1_441 }),
        json!({ "customerName": " " }),
        json!({ "email": "dana" }),
        json!({ "notes": "x".repeat(4_001) }),
        json!({ "colour": "red" }),
    ] {
        refused(&dana.post(PATH, &at("10:00", wrong)).await, 400, "invalid_request");
    }
    refused(&dana.post(PATH, &at("10:00", json!({ "phone": "0501234567" }))).await, 400, "phone_invalid");
    assert_eq!(dana.get(PATH).await.ok(), json!([]), "nothing is stored");
    let made = booked(&dana, &at("10:00", json!({}))).await;
    for (action, other) in [
        ("reschedule", json!({})),
        ("reschedule", json!({ "start": "2031-03-04T10:00:00Z", "end": "2031-03-04T09:00:00Z" })),
        ("reschedule", json!({ "start": "2031-03-04T10:00:00Z", "reason": "moved" })),
        ("confirm", json!({ "start": "2031-03-04T10:00:00Z" })),
        ("cancel", json!({ "resourceId": null })),
        ("cancel", json!({ "reason": "x".repeat(1_001) })),
        ("cancel", json!({ "cancelledBy": "system" })),
        ("delete", json!({})),
    ] {
        refused(&dana.put(PATH, &change(&made, action, other)).await, 400, "invalid_request");
    }
    assert_eq!(dana.get(&path(&made)).await.ok(), made, "nothing changed");
}

#[tokio::test]
async fn other_accounts_appointments_are_not_there() {
    let app = TestApp::start().await;
    let (dana, mallory) = (app.account("dana").await, app.account("mallory").await);
    let made = booked(&dana, &at("10:00", json!({}))).await;
    let cancels = async |id: &Value| mallory.put(PATH, &json!({ "id": id, "action": "cancel" })).await;
    let (foreign, unknown) = (cancels(&made["id"]).await, cancels(&json!(Uuid::new_v4())).await);
    refused(&unknown, 404, "not_found");
    assert_eq!((foreign.status, &foreign.body), (unknown.status, &unknown.body));
    assert_eq!(mallory.get(PATH).await.ok(), json!([]));
    assert_eq!(dana.get(&path(&made)).await.ok(), made);
    let employee = app.employee(&dana, "eli", &["calendar"]).await;
    assert_eq!(employee.get(&path(&made)).await.ok(), made);
    let client = app.api_client(&dana).await;
    assert_eq!(client.put(PATH, &change(&made, "confirm", json!({}))).await.ok()["status"], "confirmed");
}

#[tokio::test]
async fn who_is_erased_is_expected_no_more_and_the_proof_stays_good() {
    let app = TestApp::start().await;
    let dana = app.account("dana").await;
    let person =
        json!({ "customerName": "Ravid Ben-Zeevani", "email": "ravid@example.com", "notes": "a secret ailment" });
    let (coming, other) =
        (booked(&dana, &at("10:00", person.clone())).await, booked(&dana, &at("12:00", person)).await);
    dana.put(PATH, &change(&other, "cancel", json!({ "reason": "a secret reason" }))).await.ok();
    let stored = "select coalesce(string_agg(payload::text, ' '), '') from events where aggregate_type = 'appointment'";
    let stored: String = sqlx::query_scalar(stored).fetch_one(&app.database.pool).await.expect("events");
    for word in ["Ravid", "ravid@", "secret", "501234567"] {
        assert!(!stored.contains(word), "{word} is sealed from the first: {stored}");
    }
    let contact = coming["contactId"].as_str().expect("an id");
    dana.delete(&format!("/api/contacts/{contact}/personal-data")).await.ok();
    for (appointment, by) in [(&coming, "system"), (&other, "staff")] {
        let left = dana.get(&path(appointment)).await.ok();
        for gone in ["customerName", "phone", "email", "notes", "cancellationReason"] {
            assert!(left[gone].is_null(), "{gone}: {left}");
        }
        assert_eq!((&left["status"], &left["cancelledBy"]), (&json!("cancelled"), &json!(by)));
        assert_eq!((&left["start"], &left["serviceName"]), (&appointment["start"], &json!("Haircut")));
        let history = dana.get(&format!("{}/history", path(appointment))).await.ok();
        let first = &history[0];
        assert_eq!((&first["erased"], &first["payload"]["customer"]["name"]), (&json!(true), &Value::Null));
        assert_eq!(history.as_array().and_then(|all| all.last()).expect("one")["type"], "appointment.contact_erased");
        refused(&dana.put(PATH, &change(appointment, "confirm", json!({}))).await, 409, "contact_erased");
    }
    assert_eq!(dana.get(PATH).await.header("x-total-count"), Some("2"), "counts stay");
    let again = booked(&dana, &at("10:00", json!({}))).await;
    assert_ne!(again["contactId"], coming["contactId"], "who comes back is somebody new");
    let last: i64 = sqlx::query_scalar("select count(*) from events where tenant_id = $1")
        .bind(&dana.id)
        .fetch_one(&app.database.pool)
        .await
        .expect("a count");
    eventually("a sealed log", async || {
        let verified = dana.get("/api/audit/verify").await.ok();
        assert_eq!(verified["valid"], json!(true), "{verified}");
        (verified["sealedTo"].as_i64() >= Some(last)).then_some(())
    })
    .await;
}
