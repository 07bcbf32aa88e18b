//! A template's life: given what happened, when something is told, then this is recorded.

use chrono::{DateTime, TimeDelta, Utc};
use cqrs_es::Aggregate as _;
use cqrs_es::test::TestFramework;
use serde_json::{Value, json};

use super::approval::{Pause, Rejection, Status};
use super::category::{Category, NonUtility};
use super::command::{Draft, Identity, Listing, News, StatusNews, TemplateCommand};
use super::error::TemplateError;
use super::event::TemplateEvent;
use super::sending::{Unsendable, sendable};
use super::{Quality, Template};
use crate::shared::ids::TenantId;
use crate::shared::provider_error::{ErrorClass, ProviderError};

type Given = TestFramework<Template>;

/// So many seconds after the beginning.
fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_700_000_000 + seconds, 0).expect("a time")
}

fn identity() -> Identity {
    Identity::new(TenantId(uuid::Uuid::nil()), "1000", "salon_v1", "he")
}

fn components() -> Value {
    json!([{ "type": "BODY", "text": "Hello there" }])
}

fn draft(category: Category, reason: Option<&str>) -> Draft {
    let non_utility = NonUtility { wanted: reason.is_some(), reason: reason.map(Into::into) };
    Draft { identity: identity(), category, components: components(), non_utility, target_group: None }
}

fn submit(category: Category, reason: Option<&str>, seconds: i64) -> TemplateCommand {
    TemplateCommand::Submit { draft: draft(category, reason), name_blocked_until: None, at: at(seconds) }
}

fn submitted(category: Category, reason: Option<&str>, seconds: i64) -> TemplateEvent {
    let Identity { id: template_id, waba_id, name, language } = identity();
    TemplateEvent::Submitted {
        template_id,
        waba_id,
        name,
        language,
        category,
        components: components(),
        non_utility_override: reason.map(Into::into),
        target_group: None,
        at: at(seconds),
    }
}

fn accepted(seconds: i64) -> TemplateEvent {
    TemplateEvent::Accepted { provider_id: Some("77".into()), status: Status::Pending, at: at(seconds) }
}

fn changed(from: Status, to: Status, seconds: i64) -> TemplateEvent {
    let (told, told_at, at) = (to.to_string(), at(seconds), at(seconds));
    TemplateEvent::StatusChanged { from, to, told, rejection: None, pause: None, notice: None, told_at, at }
}

fn approved() -> Vec<TemplateEvent> {
    vec![submitted(Category::Utility, None, 0), accepted(1), changed(Status::Pending, Status::Approved, 10)]
}

fn hear(news: News, seconds: i64) -> TemplateCommand {
    let provider_id = match &news {
        News::Listed(listing) => listing.provider_id.clone(),
        _ => None,
    };
    TemplateCommand::Hear { identity: identity(), provider_id, news, told_at: at(seconds), at: at(seconds) }
}

fn word(word: &str) -> News {
    News::Status(StatusNews { word: word.into(), ..StatusNews::default() })
}

fn listing(status: Status) -> Listing {
    Listing {
        provider_id: Some("77".into()),
        status,
        category: Some(Category::Utility),
        components: components(),
        quality: Quality::Unknown,
        rejection: None,
    }
}

fn template(events: Vec<TemplateEvent>) -> Template {
    let mut template = Template::default();
    events.into_iter().for_each(|event| template.apply(event));
    template
}

fn error() -> ProviderError {
    ProviderError { code: 100, class: ErrorClass::Request, title: "no".into(), details: None }
}

#[test]
fn it_is_submitted_taken_and_approved() {
    Given::with(())
        .given_no_previous_events()
        .when(submit(Category::Utility, None, 0))
        .then_expect_events(vec![submitted(Category::Utility, None, 0)]);
    let accept = TemplateCommand::Accept {
        provider_id: Some("77".into()),
        status: Status::Pending,
        category: Some(Category::Utility),
        at: at(1),
    };
    let given = vec![submitted(Category::Utility, None, 0)];
    Given::with(()).given(given.clone()).when(accept.clone()).then_expect_events(vec![accepted(1)]);
    Given::with(()).given([given, vec![accepted(1)]].concat()).when(accept).then_expect_events(vec![]);
    Given::with(()).given(approved()[..2].to_vec()).when(hear(word("APPROVED"), 10)).then_expect_events(vec![changed(
        Status::Pending,
        Status::Approved,
        10,
    )]);
    Given::with(()).given(approved()).when(hear(word("APPROVED"), 10)).then_expect_events(vec![]);
}

#[test]
fn news_that_are_quicker_than_metas_answer_say_that_it_was_taken() {
    let taken = TemplateEvent::Accepted { provider_id: None, status: Status::Pending, at: at(2) };
    let events = vec![taken, changed(Status::Pending, Status::Approved, 2)];
    let given = vec![submitted(Category::Utility, None, 0)];
    Given::with(()).given(given.clone()).when(hear(word("APPROVED"), 2)).then_expect_events(events.clone());
    let accept =
        TemplateCommand::Accept { provider_id: Some("77".into()), status: Status::Pending, category: None, at: at(3) };
    Given::with(())
        .given([given, events].concat())
        .when(accept)
        .then_expect_events(vec![TemplateEvent::Identified { provider_id: "77".into(), at: at(3) }]);
}

#[test]
fn a_name_is_taken_once_and_free_again_after_a_refusal() {
    let again = |given: Vec<TemplateEvent>, seconds, error| {
        Given::with(()).given(given).when(submit(Category::Utility, None, seconds)).then_expect_error(error);
    };
    let first = vec![submitted(Category::Utility, None, 0)];
    again(first.clone(), 5, TemplateError::BeingSubmitted);
    again(approved(), 50, TemplateError::Exists("APPROVED".into()));
    let anew = |given: Vec<TemplateEvent>, seconds| {
        let event = submitted(Category::Utility, None, seconds);
        Given::with(()).given(given).when(submit(Category::Utility, None, seconds)).then_expect_events(vec![event]);
    };
    anew(first.clone(), 120);
    anew([first, vec![TemplateEvent::Refused { error: error(), at: at(1) }]].concat(), 2);
}

#[test]
fn a_deleted_name_is_blocked_for_thirty_days_when_it_was_approved() {
    let blocked = at(100) + TimeDelta::days(30);
    let deleted = |block| TemplateEvent::Deleted { name_blocked_until: block, at: at(100) };
    Given::with(())
        .given(approved())
        .when(TemplateCommand::ConfirmDeletion { at: at(100) })
        .then_expect_events(vec![deleted(Some(blocked))]);
    let pending = approved()[..2].to_vec();
    Given::with(())
        .given(pending)
        .when(TemplateCommand::ConfirmDeletion { at: at(100) })
        .then_expect_events(vec![deleted(None)]);
    let gone = [approved(), vec![deleted(Some(blocked))]].concat();
    Given::with(())
        .given(gone.clone())
        .when(submit(Category::Utility, None, 200))
        .then_expect_error(TemplateError::NameBlocked(blocked));
    let later = 100 + 30 * 86_400;
    Given::with(()).given(gone).when(submit(Category::Utility, None, later)).then_expect_events(vec![submitted(
        Category::Utility,
        None,
        later,
    )]);
    let elsewhere =
        TemplateCommand::Submit { draft: draft(Category::Utility, None), name_blocked_until: Some(at(900)), at: at(5) };
    Given::with(()).given_no_previous_events().when(elsewhere).then_expect_error(TemplateError::NameBlocked(at(900)));
}

#[test]
fn a_disabled_template_cannot_be_deleted() {
    let given = [approved(), vec![changed(Status::Approved, Status::Disabled, 20)]].concat();
    Given::with(())
        .given(given)
        .when(TemplateCommand::RequestDeletion { client_approval: None, at: at(30) })
        .then_expect_error(TemplateError::Disabled);
}

#[test]
fn pauses_climb_their_ladder_and_late_news_are_noted() {
    let paused = |title: &str, seconds| {
        hear(
            News::Status(StatusNews { word: "PAUSED".into(), title: Some(title.into()), ..StatusNews::default() }),
            seconds,
        )
    };
    let event = |from: Status, title: &str, seconds| TemplateEvent::StatusChanged {
        from,
        to: Status::Paused,
        told: "PAUSED".into(),
        rejection: None,
        pause: Some(Pause::begun(Some(title), at(seconds))),
        notice: None,
        told_at: at(seconds),
        at: at(seconds),
    };
    let first = event(Status::Approved, "FIRST_PAUSE", 20);
    Given::with(()).given(approved()).when(paused("FIRST_PAUSE", 20)).then_expect_events(vec![first.clone()]);
    let given = [approved(), vec![first]].concat();
    let second = event(Status::Paused, "SECOND_PAUSE", 90);
    Given::with(()).given(given.clone()).when(paused("FIRST_PAUSE", 20)).then_expect_events(vec![]);
    Given::with(()).given(given.clone()).when(paused("SECOND_PAUSE", 90)).then_expect_events(vec![second]);
    let late = TemplateEvent::StatusToldLate { status: Status::Approved, told_at: at(12), at: at(12) };
    Given::with(()).given(given).when(hear(word("APPROVED"), 12)).then_expect_events(vec![late]);
}

#[test]
fn a_rejection_keeps_its_reason_and_an_unknown_word_is_kept() {
    let rejection = Rejection {
        reason: Some("INVALID_FORMAT".into()),
        explanation: Some("placeholders side by side".into()),
        recommendation: None,
    };
    let news = StatusNews { word: "REJECTED".into(), rejection: Some(rejection.clone()), ..StatusNews::default() };
    let given = approved()[..2].to_vec();
    let rejected = template(
        [
            given,
            Given::with(()).given(approved()[..2].to_vec()).when(hear(News::Status(news), 9)).inspect_result().unwrap(),
        ]
        .concat(),
    );
    assert_eq!(rejected.known().unwrap().rejection, Some(rejection));
    let odd = template([approved(), vec![changed(Status::Approved, "ON_THE_MOON".into(), 30)]].concat());
    let status = Status::Other("ON_THE_MOON".into());
    assert_eq!(sendable(&odd), Err(Unsendable::Status { status }));
}

#[test]
fn a_category_nobody_agreed_to_is_not_sent_until_somebody_does() {
    let to_marketing = hear(News::Category { now: Some(Category::Marketing), correct: Some(Category::Marketing) }, 40);
    let moved = TemplateEvent::CategoryChanged {
        from: Some(Category::Utility),
        to: Category::Marketing,
        blocked: true,
        told_at: at(40),
        at: at(40),
    };
    Given::with(()).given(approved()).when(to_marketing.clone()).then_expect_events(vec![moved.clone()]);
    let given = [approved(), vec![moved]].concat();
    assert_eq!(sendable(&template(given.clone())), Err(Unsendable::Category { category: Category::Marketing }));
    Given::with(()).given(given.clone()).when(to_marketing).then_expect_events(vec![]);
    let word = |reason: Option<&str>| TemplateCommand::OverrideCategory {
        word: NonUtility { wanted: true, reason: reason.map(Into::into) },
        at: at(50),
    };
    assert!(matches!(
        Given::with(()).given(given.clone()).when(word(None)).inspect_result(),
        Err(TemplateError::Invalid(_))
    ));
    let overridden = TemplateEvent::CategoryOverridden {
        category: Category::Marketing,
        reason: "the client knows".into(),
        at: at(50),
    };
    Given::with(())
        .given(given.clone())
        .when(word(Some("the client knows")))
        .then_expect_events(vec![overridden.clone()]);
    assert!(sendable(&template([given, vec![overridden]].concat())).is_ok());
}

#[test]
fn a_category_agreed_to_at_the_start_stays_agreed_to() {
    let start = [vec![submitted(Category::Marketing, Some("spring sale"), 0)], approved()[1..].to_vec()].concat();
    assert!(sendable(&template(start.clone())).is_ok());
    let there = News::Category { now: Some(Category::Utility), correct: None };
    let moved = Given::with(()).given(start.clone()).when(hear(there, 20)).inspect_result().unwrap();
    let back = hear(News::Category { now: Some(Category::Marketing), correct: None }, 30);
    let all = [start, moved].concat();
    let returned = Given::with(()).given(all.clone()).when(back).inspect_result().unwrap();
    assert!(matches!(returned[..], [TemplateEvent::CategoryChanged { blocked: false, .. }]));
    assert!(sendable(&template([all, returned].concat())).is_ok());
    let refused = Given::with(()).given_no_previous_events().when(submit(Category::Marketing, None, 0));
    let Err(TemplateError::Invalid(problems)) = refused.inspect_result() else { panic!("refused") };
    assert_eq!(problems.len(), 2);
}

#[test]
fn an_announced_category_is_told_once() {
    let soon = || hear(News::Category { now: Some(Category::Utility), correct: Some(Category::Marketing) }, 30);
    let told = TemplateEvent::CategoryChangeAnnounced { to: Category::Marketing, told_at: at(30), at: at(30) };
    Given::with(()).given(approved()).when(soon()).then_expect_events(vec![told.clone()]);
    Given::with(()).given([approved(), vec![told]].concat()).when(soon()).then_expect_events(vec![]);
}

#[test]
fn older_news_of_a_category_change_nothing() {
    let to = |category| News::Category { now: Some(category), correct: None };
    let moved = Given::with(()).given(approved()).when(hear(to(Category::Marketing), 60)).inspect_result().unwrap();
    let given = [approved(), moved].concat();
    Given::with(()).given(given.clone()).when(hear(to(Category::Utility), 50)).then_expect_events(vec![]);
    let back = Given::with(()).given(given).when(hear(to(Category::Utility), 70)).inspect_result().unwrap();
    assert!(matches!(back[..], [TemplateEvent::CategoryChanged { blocked: false, .. }]));
}

#[test]
fn work_approval_is_there_until_it_is_taken_back() {
    assert!(sendable(&template(approved())).is_ok());
    let set = |approved| TemplateCommand::SetWorkApproval { approved, at: at(20) };
    let off = TemplateEvent::WorkApprovalWithdrawn { at: at(20) };
    Given::with(()).given(approved()).when(set(true)).then_expect_events(vec![]);
    Given::with(()).given(approved()).when(set(false)).then_expect_events(vec![off.clone()]);
    let given = [approved(), vec![off]].concat();
    assert_eq!(sendable(&template(given.clone())), Err(Unsendable::WorkNotApproved));
    Given::with(()).given(given).when(set(true)).then_expect_events(vec![TemplateEvent::WorkApproved { at: at(20) }]);
    Given::with(()).given_no_previous_events().when(set(true)).then_expect_error(TemplateError::NotFound);
}

#[test]
fn a_list_finds_what_is_new_changed_and_gone() {
    let Identity { id: template_id, waba_id, name, language } = identity();
    let discovered = TemplateEvent::Discovered {
        template_id,
        waba_id,
        name,
        language,
        listing: listing(Status::Approved),
        told_at: at(5),
        at: at(5),
    };
    let listed = |status, seconds| hear(News::Listed(listing(status)), seconds);
    Given::with(())
        .given_no_previous_events()
        .when(listed(Status::Approved, 5))
        .then_expect_events(vec![discovered.clone()]);
    Given::with(()).given(vec![discovered.clone()]).when(listed(Status::Approved, 9)).then_expect_events(vec![]);
    let paused = Given::with(()).given(vec![discovered.clone()]).when(listed(Status::Paused, 9)).inspect_result();
    assert!(matches!(paused.unwrap()[..], [TemplateEvent::StatusChanged { .. }]));
    let miss = |seconds| TemplateCommand::Miss { listed_at: at(seconds), at: at(seconds) };
    Given::with(()).given(vec![discovered.clone()]).when(miss(30)).then_expect_events(vec![]);
    let vanished = TemplateEvent::Vanished { name_blocked_until: Some(at(70) + TimeDelta::days(30)), at: at(70) };
    Given::with(()).given(vec![discovered.clone()]).when(miss(70)).then_expect_events(vec![vanished.clone()]);
    let gone = vec![discovered, vanished];
    Given::with(()).given(gone.clone()).when(miss(200)).then_expect_events(vec![]);
    Given::with(()).given(gone.clone()).when(listed(Status::Approved, 100)).then_expect_events(vec![]);
    let back = Given::with(()).given(gone.clone()).when(listed(Status::Approved, 200)).inspect_result();
    assert!(matches!(back.unwrap()[..], [TemplateEvent::Discovered { .. }]));
    Given::with(()).given(gone).when(listed(Status::PendingDeletion, 200)).then_expect_events(vec![]);
}

#[test]
fn a_submission_nobody_lists_is_given_up() {
    let given = vec![submitted(Category::Utility, None, 0)];
    let miss = |seconds| TemplateCommand::Miss { listed_at: at(seconds), at: at(seconds) };
    Given::with(()).given(given.clone()).when(miss(90)).then_expect_events(vec![]);
    let lost = Given::with(()).given(given.clone()).when(miss(120)).inspect_result().unwrap();
    assert!(matches!(lost[..], [TemplateEvent::Refused { .. }]));
    let found = Given::with(()).given(given).when(hear(News::Listed(listing(Status::Pending)), 90)).inspect_result();
    assert_eq!(found.unwrap(), vec![accepted(90)]);
}

#[test]
fn news_of_a_template_nobody_knows_make_it_known() {
    let heard = Given::with(()).given_no_previous_events().when(hear(word("APPROVED"), 5)).inspect_result().unwrap();
    let known = template(heard);
    assert_eq!(known.known().map(|it| (&it.status, &it.components)), Some((&Status::Approved, &Value::Null)));
    let gone = Given::with(()).given_no_previous_events().when(hear(word("DELETED"), 5)).inspect_result().unwrap();
    assert_eq!(gone, vec![]);
}

#[test]
fn our_own_pause_keeps_it_from_being_sent_until_somebody_lifts_it() {
    let pause = |reason: Option<&str>| TemplateCommand::PauseSending { reason: reason.map(Into::into), at: at(20) };
    let paused = |reason: Option<&str>| TemplateEvent::SendingPaused { reason: reason.map(Into::into), at: at(20) };
    let resume = || TemplateCommand::ResumeSending { at: at(20) };
    Given::with(()).given(approved()).when(pause(Some("typo"))).then_expect_events(vec![paused(Some("typo"))]);
    Given::with(()).given(approved()).when(resume()).then_expect_events(vec![]);
    let resting = || [approved(), vec![paused(Some("typo"))]].concat();
    Given::with(()).given(resting()).when(pause(None)).then_expect_events(vec![]);
    Given::with(()).given(resting()).when(pause(Some("a typo"))).then_expect_events(vec![paused(Some("a typo"))]);
    let resumed = TemplateEvent::SendingResumed { at: at(20) };
    Given::with(()).given(resting()).when(resume()).then_expect_events(vec![resumed.clone()]);
    Given::with(()).given_no_previous_events().when(pause(None)).then_expect_error(TemplateError::NotFound);
    let mut template = Template::default();
    resting().into_iter().for_each(|event| template.apply(event));
    assert_eq!(sendable(&template), Err(Unsendable::PausedHere));
    // Written anew, it still rests: that was a person's word.
    template.apply(TemplateEvent::Deleted { name_blocked_until: None, at: at(30) });
    approved().into_iter().for_each(|event| template.apply(event));
    assert_eq!(sendable(&template), Err(Unsendable::PausedHere));
    template.apply(resumed);
    assert!(sendable(&template).is_ok());
}
