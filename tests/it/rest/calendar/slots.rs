//! A resource is taken up by one appointment at a time, whoever asks and when.

use std::sync::Arc;

use application::actor::{Actor, Cause};
use application::commands::{Along, CommandError, Commands, Reached};
use domain::appointment::command::{AppointmentCommand, Booking, Change, Length, Move};
use domain::appointment::error::AppointmentError;
use domain::appointment::{Appointment, BookingSource, Buffers, Customer, Service};
use domain::shared::ids::{AppointmentId, ContactId, StreamId, TenantId};
use domain::shared::phone::Phone;
use futures::future::join_all;
use infrastructure::event_store::append::Appender;
use infrastructure::event_store::commands::{PgCommands, Pokes};
use serde_json::{Value, json};
use sqlx::PgPool;
use tests::app::{SignedIn, TestApp};
use tests::cluster::TestDatabase;
use uuid::Uuid;

use super::appointments::{PATH, at, booked, change};
use crate::rest::refused;

/// Posts an appointment that finds its resource taken.
async fn finds_taken(dana: &SignedIn, time: &str, other: Value) {
    refused(&dana.post(PATH, &at(time, other)).await, 409, "slot_taken");
}

fn starting(time: &str) -> Value {
    json!({ "start": format!("2031-03-04T{time}:00Z") })
}

#[tokio::test]
async fn no_two_take_a_resource_up_at_the_same_time() {
    let app = TestApp::start().await;
    let (dana, noa) = (app.account("dana").await, app.account("noa").await);
    let ten = booked(&dana, &at("10:00", json!({}))).await;
    for time in ["09:01", "10:00", "10:59"] {
        finds_taken(&dana, time, json!({})).await;
    }
    finds_taken(&dana, "10:15", json!({ "durationMinutes": 5 })).await;
    finds_taken(&dana, "09:00", json!({ "durationMinutes": 180 })).await;
    assert_eq!(dana.get(PATH).await.header("x-total-count"), Some("1"), "nothing of what was refused is there");
    booked(&dana, &at("09:00", json!({}))).await;
    let eleven = booked(&dana, &at("11:00", json!({}))).await;
    booked(&dana, &at("10:00", json!({ "resourceId": "chair-2" }))).await;
    booked(&dana, &at("10:00", json!({ "resourceId": null }))).await;
    booked(&dana, &at("10:00", json!({ "resourceId": null }))).await;
    booked(&noa, &at("10:00", json!({}))).await;

    let moves = async |appointment: &Value, to: Value| dana.put(PATH, &change(appointment, "reschedule", to)).await;
    refused(&moves(&ten, starting("11:30")).await, 409, "slot_taken");
    assert_eq!(dana.get(&format!("{PATH}/{}", ten["id"].as_str().expect("an id"))).await.ok(), ten, "it stays");
    moves(&eleven, starting("11:15")).await.ok();
    let longer = json!({ "start": "2031-03-04T10:00:00Z", "durationMinutes": 75 });
    moves(&ten, longer).await.ok();
    finds_taken(&dana, "11:10", json!({ "durationMinutes": 5 })).await;

    moves(&eleven, starting("15:00")).await.ok();
    booked(&dana, &at("11:15", json!({}))).await;
    for (action, other) in [
        ("cancel", json!({})),
        ("complete", json!({})),
        ("no_show", json!({})),
        ("reschedule", json!({ "start": "2031-03-05T10:00:00Z", "resourceId": null })),
    ] {
        let it = booked(&dana, &at("18:00", json!({}))).await;
        finds_taken(&dana, "18:30", json!({})).await;
        dana.put(PATH, &change(&it, action, other)).await.ok();
    }
    booked(&dana, &at("18:30", json!({}))).await;
}

#[tokio::test]
async fn buffers_are_part_of_what_is_taken_up() {
    let app = TestApp::start().await;
    let dana = app.account("dana").await;
    let around = json!({ "bufferBeforeMinutes": 10, "bufferAfterMinutes": 15 });
    booked(&dana, &at("10:00", around.clone())).await;
    finds_taken(&dana, "11:14", json!({})).await;
    finds_taken(&dana, "11:15", around).await;
    finds_taken(&dana, "08:51", json!({})).await;
    booked(&dana, &at("11:15", json!({}))).await;
    booked(&dana, &at("08:50", json!({}))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_at_once_one_gets_the_slot() {
    let app = TestApp::start().await;
    let dana = app.account("dana").await;
    let all = (0..40).map(|n| {
        let dana = dana.clone();
        async move {
            let minute = n % 4 * 10;
            let phone = format!("+9725000000{n:02}");
            dana.post(PATH, &at(&format!("10:{minute:02}"), json!({ "phone": phone }))).await
        }
    });
    let answers = join_all(all).await;
    let (made, others): (Vec<_>, Vec<_>) = answers.into_iter().partition(|it| it.status.as_u16() == 201);
    assert_eq!(made.len(), 1);
    others.iter().for_each(|answer| drop(refused(answer, 409, "slot_taken")));
    let left = "select (select count(*) from events where aggregate_type = 'appointment'), (select count(*) from appointment_slots)";
    let left: (i64, i64) = sqlx::query_as(left).fetch_one(&app.database.pool).await.expect("counts");
    assert_eq!(left, (1, 1));
}

#[tokio::test]
async fn a_request_that_is_sent_again_makes_one_appointment() {
    let app = TestApp::start().await;
    let dana = app.account("dana").await;
    let ask = async || dana.keyed("once", reqwest::Method::POST, PATH, Some(&at("10:00", json!({})))).await;
    let (first, again) = (ask().await, ask().await);
    assert_eq!((first.status.as_u16(), &first.body), (again.status.as_u16(), &again.body));
    assert_eq!(dana.get(PATH).await.header("x-total-count"), Some("1"));
    finds_taken(&dana, "10:00", json!({})).await;
}

/// A process of its own on the database.
fn node(pool: &PgPool) -> PgCommands<Appointment> {
    PgCommands::new(pool.clone(), tests::keys(pool), Appender::start(pool.clone()), Arc::<Pokes>::default())
}

fn booking(start: &str) -> AppointmentCommand {
    let customer =
        Customer { name: Some("Dana".to_owned()), phone: Phone::parse("+972501234567").ok(), ..Customer::default() };
    let booking = Booking {
        source: BookingSource::Public,
        service: Service { id: Some("cut".to_owned()), name: None },
        start: start.parse().expect("a time"),
        length: Length::Minutes(30),
        timezone: "UTC".to_owned(),
        resource_id: Some("chair-1".to_owned()),
        buffers: Buffers::default(),
        customer,
    };
    let (id, contact) = (AppointmentId(Uuid::now_v7()), ContactId(Uuid::from_u128(1)));
    AppointmentCommand::Book { id, contact, booking: Box::new(booking), at: chrono::Utc::now() }
}

async fn run(
    node: &PgCommands<Appointment>,
    tenant: TenantId,
    id: Uuid,
    command: AppointmentCommand,
) -> Result<Reached, CommandError<AppointmentError>> {
    let cause = Cause { actor: Actor::System, correlation: Uuid::nil(), causation: None, once: None };
    node.run(&StreamId::new(tenant, id), &cause, command, Along::default()).await
}

#[tokio::test]
async fn what_took_effect_before_is_told_so_and_holds_nothing_more() {
    let database = TestDatabase::create().await;
    let (tenant, node) = (TenantId(Uuid::now_v7()), node(&database.pool));
    let once = async |start: &str| {
        let cause = Cause {
            actor: Actor::System,
            correlation: Uuid::nil(),
            causation: None,
            once: Some("request:1".to_owned()),
        };
        node.run(&StreamId::new(tenant, Uuid::now_v7()), &cause, booking(start), Along::default()).await
    };
    once("2031-03-04T10:00:00Z").await.expect("it takes effect");
    // The same request again is no clash with itself, and takes nothing else up.
    for start in ["2031-03-04T10:00:00Z", "2031-03-04T12:00:00Z"] {
        let again = once(start).await;
        assert!(matches!(again, Err(CommandError::AlreadyDone)), "{again:?}");
    }
    let slots: i64 =
        sqlx::query_scalar("select count(*) from appointment_slots").fetch_one(&database.pool).await.expect("a count");
    assert_eq!(slots, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_processes_give_a_slot_to_one_and_what_is_moved_away_to_another() {
    let database = TestDatabase::create().await;
    let tenant = TenantId(Uuid::now_v7());
    let nodes = [node(&database.pool), node(&database.pool), node(&database.pool)];
    for round in 0..10 {
        let start = |hour: u32| format!("2031-03-{:02}T{hour:02}:00:00Z", round + 1);
        // Everybody wants ten o'clock.
        let ids: Vec<Uuid> = (0..12).map(|_| Uuid::now_v7()).collect();
        let ten = start(10);
        let books = ids.iter().zip(nodes.iter().cycle()).map(|(id, node)| run(node, tenant, *id, booking(&ten)));
        let booked = join_all(books).await;
        let winner: Vec<Uuid> = ids.iter().zip(&booked).filter(|(_, it)| it.is_ok()).map(|(id, _)| *id).collect();
        assert_eq!(winner.len(), 1, "{booked:?}");
        assert!(booked.iter().all(|it| matches!(it, Ok(_) | Err(CommandError::Occupied))), "{booked:?}");
        // Three others stand at twelve and later, and all move to eleven at once.
        let movers: Vec<Uuid> = (0..3).map(|_| Uuid::now_v7()).collect();
        for (hour, id) in (12..).zip(&movers) {
            run(&nodes[0], tenant, *id, booking(&start(hour))).await.expect("a slot of its own");
        }
        let to = Move { start: start(11).parse().expect("a time"), length: None, timezone: None, resource_id: None };
        let change = AppointmentCommand::Change {
            change: Change::Reschedule(to),
            expected_version: None,
            at: chrono::Utc::now(),
        };
        let moves = movers.iter().zip(&nodes).map(|(id, node)| run(node, tenant, *id, change.clone()));
        let moved = join_all(moves).await;
        assert_eq!(moved.iter().filter(|it| it.is_ok()).count(), 1, "{moved:?}");
        assert!(moved.iter().all(|it| matches!(it, Ok(_) | Err(CommandError::Occupied))), "{moved:?}");
    }
    let clashes = "select count(*) from appointment_slots a join appointment_slots b
                       on a.tenant_id = b.tenant_id and a.resource = b.resource and a.appointment_id <> b.appointment_id
                      and a.taken_from < b.free_from and b.taken_from < a.free_from";
    let clashes: i64 = sqlx::query_scalar(clashes).fetch_one(&database.pool).await.expect("a count");
    let slots: i64 =
        sqlx::query_scalar("select count(*) from appointment_slots").fetch_one(&database.pool).await.expect("a count");
    assert_eq!((clashes, slots), (0, 40));
}
