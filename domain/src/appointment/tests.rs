//! Appointments: what they agree to, and what is left of a person.

use super::*;
use crate::appointment::command::{Booking, Change, Length, Move};
use crate::personal::Personal as _;
use cqrs_es::Aggregate as _;
use cqrs_es::test::TestFramework;

type Given = TestFramework<Appointment>;

fn at() -> DateTime<Utc> {
    time("2026-11-22T09:30:00Z")
}

fn time(text: &str) -> DateTime<Utc> {
    text.parse().expect("a time")
}

fn contact(n: u128) -> ContactId {
    ContactId(uuid::Uuid::from_u128(n))
}

fn placement(start: &str, end: &str) -> Placement {
    let (start, end) = (time(start), time(end));
    Placement { start, end, timezone: "Asia/Jerusalem".into(), resource_id: Some("chair-1".into()) }
}

fn ten() -> Placement {
    placement("2026-12-01T10:00:00Z", "2026-12-01T10:45:00Z")
}

fn eleven() -> Placement {
    placement("2026-12-01T11:00:00Z", "2026-12-01T11:45:00Z")
}

fn booking() -> Booking {
    Booking {
        source: BookingSource::Staff,
        service: Service { id: Some("cut".into()), name: Some("Haircut".into()) },
        start: ten().start,
        length: Length::Minutes(45),
        timezone: "Asia/Jerusalem".into(),
        resource_id: Some("chair-1".into()),
        buffers: Buffers { before_minutes: 5, after_minutes: 10 },
        customer: Customer {
            name: Some("Dana Levi".into()),
            phone: Some(Phone::parse("+972501234567").expect("a phone")),
            email: Some("dana@example.com".into()),
            notes: Some("comes with a dog".into()),
        },
    }
}

fn book(booking: Booking) -> AppointmentCommand {
    let (id, contact) = (AppointmentId(uuid::Uuid::from_u128(7)), contact(1));
    AppointmentCommand::Book { id, contact, booking: Box::new(booking), at: at() }
}

fn booked() -> AppointmentEvent {
    let Booking { source, service, buffers, customer, .. } = booking();
    AppointmentEvent::Booked {
        appointment_id: AppointmentId(uuid::Uuid::from_u128(7)),
        contact_id: contact(1),
        source,
        service,
        placement: ten(),
        buffers,
        customer,
        at: at(),
    }
}

fn change(change: Change) -> AppointmentCommand {
    AppointmentCommand::Change { change, expected_version: None, at: at() }
}

fn to(placement: &Placement) -> Change {
    let length = Some(Length::Until(placement.end));
    Change::Reschedule(Move { start: placement.start, length, timezone: None, resource_id: None })
}

fn cancel(reason: Option<&str>) -> Change {
    Change::Cancel { by: CancelledBy::Customer, reason: reason.map(Into::into) }
}

fn cancelled(reason: Option<&str>) -> AppointmentEvent {
    AppointmentEvent::Cancelled { by: CancelledBy::Customer, reason: reason.map(Into::into), at: at() }
}

#[test]
fn it_is_made_once_with_its_length_and_its_buffers() {
    Given::with(()).given_no_previous_events().when(book(booking())).then_expect_events(vec![booked()]);
    Given::with(()).given(vec![booked()]).when(book(booking())).then_expect_events(vec![]);
    let other = Booking { length: Length::Minutes(30), ..booking() };
    Given::with(()).given(vec![booked()]).when(book(other)).then_expect_error(AppointmentError::Exists);
    let mut appointment = Appointment::default();
    appointment.apply(booked());
    let taken = (time("2026-12-01T09:55:00Z"), time("2026-12-01T10:55:00Z"));
    assert_eq!(appointment.known().map(KnownAppointment::occupied), Some(taken));
}

#[test]
fn a_move_is_one_event_with_both_times() {
    let moved = |to: Placement| AppointmentEvent::Rescheduled { from: ten(), to, at: at() };
    let given = || Given::with(()).given(vec![booked(), AppointmentEvent::Confirmed { at: at() }]);
    given().when(change(to(&eleven()))).then_expect_events(vec![moved(eleven())]);
    let only = |start, resource_id| Change::Reschedule(Move { start, length: None, timezone: None, resource_id });
    given().when(change(only(eleven().start, None))).then_expect_events(vec![moved(eleven())]);
    let elsewhere = Placement { resource_id: None, ..eleven() };
    given().when(change(only(eleven().start, Some(None)))).then_expect_events(vec![moved(elsewhere)]);
    given().when(change(to(&ten()))).then_expect_events(vec![]);
    let backwards = placement("2026-12-01T11:00:00Z", "2026-12-01T11:00:00Z");
    given().when(change(to(&backwards))).then_expect_error(AppointmentError::EndsBeforeItBegins);
}

#[test]
fn the_same_change_twice_is_quiet_and_after_its_end_nothing_changes() {
    let ends = [
        (cancel(Some("ill")), cancelled(Some("ill")), AppointmentStatus::Cancelled),
        (Change::Complete, AppointmentEvent::Completed { at: at() }, AppointmentStatus::Completed),
        (Change::NoShow, AppointmentEvent::NoShow { at: at() }, AppointmentStatus::NoShow),
    ];
    for (wanted, event, status) in ends {
        Given::with(()).given(vec![booked()]).when(change(wanted.clone())).then_expect_events(vec![event.clone()]);
        let given = || Given::with(()).given(vec![booked(), event.clone()]);
        given().when(change(wanted)).then_expect_events(vec![]);
        for late in [Change::Confirm, to(&ten()), to(&eleven())] {
            given().when(change(late)).then_expect_error(AppointmentError::Ended(status));
        }
    }
    let confirmed = AppointmentEvent::Confirmed { at: at() };
    Given::with(()).given(vec![booked()]).when(change(Change::Confirm)).then_expect_events(vec![confirmed.clone()]);
    Given::with(()).given(vec![booked(), confirmed]).when(change(Change::Confirm)).then_expect_events(vec![]);
    Given::with(())
        .given_no_previous_events()
        .when(change(Change::Confirm))
        .then_expect_error(AppointmentError::NotFound);
}

#[test]
fn a_change_on_a_version_of_before_is_refused() {
    let on = |expected, change| AppointmentCommand::Change { change, expected_version: Some(expected), at: at() };
    let given = || Given::with(()).given(vec![booked(), AppointmentEvent::Confirmed { at: at() }]);
    given().when(on(1, Change::Complete)).then_expect_error(AppointmentError::Stale(2));
    given().when(on(2, Change::Complete)).then_expect_events(vec![AppointmentEvent::Completed { at: at() }]);
    given().when(on(1, Change::Confirm)).then_expect_events(vec![]);
}

#[test]
fn an_erased_contact_is_expected_no_more() {
    let erase = |n| AppointmentCommand::Erase { contact: contact(n), at: at() };
    let erased = AppointmentEvent::ContactErased { at: at() };
    let called_off = AppointmentEvent::Cancelled { by: CancelledBy::System, reason: None, at: at() };
    let given = |events| Given::with(()).given(events);
    given(vec![booked()]).when(erase(1)).then_expect_events(vec![called_off.clone(), erased.clone()]);
    given(vec![booked(), cancelled(None)]).when(erase(1)).then_expect_events(vec![erased.clone()]);
    given(vec![booked()]).when(erase(2)).then_expect_events(vec![]);
    let gone = || vec![booked(), called_off.clone(), erased.clone()];
    given(gone()).when(erase(1)).then_expect_events(vec![]);
    given(gone()).when(change(Change::Confirm)).then_expect_error(AppointmentError::ContactErased);
    given(gone()).when(book(booking())).then_expect_error(AppointmentError::Exists);
}

#[test]
fn nothing_of_the_person_is_left_in_clear() {
    for event in [booked(), cancelled(Some("Dana is ill"))] {
        let left = serde_json::to_string(&Appointment::without_person(&event).expect("something is personal"));
        let left = left.expect("JSON");
        for word in ["Dana", "972501234567", "dana@example.com", "dog"] {
            assert!(!left.contains(word), "{left}");
        }
    }
    assert_eq!(Appointment::without_person(&cancelled(None)), None);
}

#[test]
fn what_is_no_appointment_is_refused() {
    let customer = |change: fn(&mut Customer)| {
        let mut booking = booking();
        change(&mut booking.customer);
        booking
    };
    let until = |end: &str| Length::Until(time(end));
    for (wrong, error) in [
        (Booking { service: Service::default(), ..booking() }, AppointmentError::Service),
        (Booking { length: Length::Minutes(0), ..booking() }, AppointmentError::EndsBeforeItBegins),
        (Booking { length: until("2026-12-01T09:00:00Z"), ..booking() }, AppointmentError::EndsBeforeItBegins),
        (Booking { length: until("2026-12-01T10:30:30Z"), ..booking() }, AppointmentError::NoWholeMinute),
        (Booking { length: until("2027-01-01T10:01:00Z"), ..booking() }, AppointmentError::TooLong),
        (Booking { length: Length::Minutes(u32::MAX), ..booking() }, AppointmentError::FarAway),
        (Booking { start: time("1999-12-31T23:00:00Z"), ..booking() }, AppointmentError::FarAway),
        (Booking { timezone: "Jerusalem".into(), ..booking() }, AppointmentError::Timezone("Jerusalem".into())),
        (Booking { resource_id: Some("  ".into()), ..booking() }, AppointmentError::Resource),
        (
            Booking { buffers: Buffers { before_minutes: 0, after_minutes: 1_441 }, ..booking() },
            AppointmentError::Buffer,
        ),
        (customer(|it| it.name = Some(" ".into())), AppointmentError::Name),
        (customer(|it| it.phone = None), AppointmentError::Phone),
        (customer(|it| it.email = Some("dana".into())), AppointmentError::Email("dana".into())),
        (customer(|it| it.notes = Some("x".repeat(4_001))), AppointmentError::Notes),
    ] {
        Given::with(()).given_no_previous_events().when(book(wrong)).then_expect_error(error);
    }
    let long = cancel(Some(&"x".repeat(1_001)));
    Given::with(()).given(vec![booked()]).when(change(long)).then_expect_error(AppointmentError::Reason);
}
