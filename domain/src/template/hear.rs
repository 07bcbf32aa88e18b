//! Taking in what Meta tells of a template. Nothing takes effect twice, nothing that is older than what is known takes
//! effect at all, and nothing is dropped without a trace.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;

use crate::shared::provider_error::{ErrorClass, ProviderError};
use crate::template::approval::{Pause, Status};
use crate::template::category::Category;
use crate::template::command::{Identity, Listing, News, StatusNews};
use crate::template::decide::SUBMISSION_SECONDS_MAX;
use crate::template::event::TemplateEvent;
use crate::template::{KnownTemplate, Quality, Template, components};

/// How long Meta may go on listing what it deleted, or leave out what it took, in seconds.
const LIST_LAG_SECONDS: i64 = 60;

impl Template {
    pub(crate) fn hear(
        &self,
        identity: Identity,
        provider_id: Option<String>,
        news: News,
        told_at: DateTime<Utc>,
        at: DateTime<Utc>,
    ) -> Vec<TemplateEvent> {
        match self.known() {
            Some(known) if known.status == Status::Submitting => {
                // That Meta speaks of a template on its way says that it took it.
                let accepted = TemplateEvent::Accepted { provider_id, status: Status::Pending, at };
                let mut taken = self.clone();
                taken.apply_event(accepted.clone());
                let rest = taken.hear(identity, None, news, told_at, at);
                std::iter::once(accepted).chain(rest).collect()
            }
            Some(known) if known.is_live() => {
                let new = matches!(news, News::Listed(_)) || known.provider_id.is_none();
                let mut events = known.identify(provider_id.as_deref().filter(|_| new), at);
                events.extend(known.hear(news, told_at, at));
                events
            }
            Some(gone) if gone.is_gone() && told_at - gone.status_at < TimeDelta::seconds(LIST_LAG_SECONDS) => {
                Vec::new()
            }
            Some(_) | None => discover(identity, provider_id, news, told_at, at).into_iter().collect(),
        }
    }
}

/// A template we did not have: as much of it as is told.
fn discover(
    identity: Identity,
    provider_id: Option<String>,
    news: News,
    told_at: DateTime<Utc>,
    at: DateTime<Utc>,
) -> Option<TemplateEvent> {
    let mut listing = match news {
        News::Listed(listing) => listing,
        News::Status(news) => Listing {
            status: Status::of_event(&news.word, news.title.as_deref()),
            category: news.category,
            rejection: news.rejection,
            ..untold()
        },
        News::Quality(quality) => Listing { quality, ..untold() },
        News::Category { now, .. } => Listing { category: now, ..untold() },
        News::Texts(texts) => Listing { components: components::with_texts(&Value::Null, &texts), ..untold() },
    };
    listing.provider_id = listing.provider_id.or(provider_id);
    // Nobody needs to be told of what is gone anyway.
    if matches!(listing.status, Status::Deleted | Status::PendingDeletion) {
        return None;
    }
    let Identity { id: template_id, waba_id, name, language } = identity;
    Some(TemplateEvent::Discovered { template_id, waba_id, name, language, listing, told_at, at })
}

/// Whether news are older than what is known. Meta tells whole seconds, so within one nobody knows.
fn is_older(told_at: DateTime<Utc>, since: DateTime<Utc>) -> bool {
    told_at + TimeDelta::seconds(1) <= since
}

fn untold() -> Listing {
    Listing {
        provider_id: None,
        status: Status::Other("UNKNOWN".to_owned()),
        category: None,
        components: Value::Null,
        quality: Quality::Unknown,
        rejection: None,
    }
}

impl KnownTemplate {
    fn hear(&self, news: News, told_at: DateTime<Utc>, at: DateTime<Utc>) -> Vec<TemplateEvent> {
        match news {
            News::Status(news) => {
                let category = news.category.clone();
                let mut events = self.hear_status(news, told_at, at, true);
                events.extend(self.recategorise(category, told_at, at));
                events
            }
            News::Quality(quality) => self.hear_quality(quality, told_at, at),
            News::Category { now, correct } => {
                let mut events = self.recategorise(now.clone(), told_at, at);
                let soon =
                    correct.filter(|to| Some(to) != now.as_ref() && Some(to) != self.announced_category.as_ref());
                events.extend(soon.map(|to| TemplateEvent::CategoryChangeAnnounced { to, told_at, at }));
                events
            }
            News::Texts(texts) => self.hear_components(components::with_texts(&self.components, &texts), told_at, at),
            News::Listed(listing) => {
                let news = StatusNews {
                    word: listing.status.to_string(),
                    rejection: listing.rejection,
                    ..StatusNews::default()
                };
                let mut events = self.hear_status(news, told_at, at, false);
                events.extend(self.recategorise(listing.category, told_at, at));
                if listing.quality != Quality::Unknown {
                    events.extend(self.hear_quality(listing.quality, told_at, at));
                }
                if !listing.components.is_null() {
                    events.extend(self.hear_components(listing.components, told_at, at));
                }
                events
            }
        }
    }

    /// Meta's id, when it was not known or is another one.
    pub(crate) fn identify(&self, provider_id: Option<&str>, at: DateTime<Utc>) -> Vec<TemplateEvent> {
        let new = provider_id.filter(|id| Some(*id) != self.provider_id.as_deref());
        new.map(|id| TemplateEvent::Identified { provider_id: id.to_owned(), at }).into_iter().collect()
    }

    fn hear_status(
        &self,
        news: StatusNews,
        told_at: DateTime<Utc>,
        at: DateTime<Utc>,
        note_late: bool,
    ) -> Vec<TemplateEvent> {
        let StatusNews { word, title, rejection, notice, .. } = news;
        let to = Status::of_event(&word, title.as_deref());
        if to == self.status {
            return self.hear_details(StatusNews { word, title, rejection, notice, category: None }, told_at, at);
        }
        if !self.status.gives_way_to(self.status_at, &to, told_at) {
            let late = TemplateEvent::StatusToldLate { status: to, told_at, at };
            return note_late.then_some(late).into_iter().collect();
        }
        if to == Status::Deleted {
            return vec![TemplateEvent::Vanished { name_blocked_until: self.block_from(at), at }];
        }
        let pause = (to == Status::Paused).then(|| Pause::begun(title.as_deref(), told_at));
        let rejection = rejection.filter(|_| to == Status::Rejected);
        let from = self.status.clone();
        vec![TemplateEvent::StatusChanged { from, to, told: word, rejection, pause, notice, told_at, at }]
    }

    /// The status is known; what comes with it may be new: a list is shorter than a webhook, and a pause may be the next.
    fn hear_details(&self, news: StatusNews, told_at: DateTime<Utc>, at: DateTime<Utc>) -> Vec<TemplateEvent> {
        let StatusNews { word, title, rejection, notice, .. } = news;
        let status = self.status.clone();
        if is_older(told_at, self.status_at) {
            return Vec::new();
        }
        let pause = (status == Status::Paused && title.is_some()).then(|| Pause::begun(title.as_deref(), told_at));
        let pause = pause.filter(|pause| self.pause.as_ref().is_none_or(|known| known.rung != pause.rung));
        let rejection = rejection
            .filter(|it| status == Status::Rejected && it.explanation.is_some() && Some(it) != self.rejection.as_ref());
        if pause.is_none() && rejection.is_none() {
            return Vec::new();
        }
        let (from, to) = (status.clone(), status);
        vec![TemplateEvent::StatusChanged { from, to, told: word, rejection, pause, notice, told_at, at }]
    }

    fn hear_quality(&self, to: Quality, told_at: DateTime<Utc>, at: DateTime<Utc>) -> Vec<TemplateEvent> {
        if to == self.quality || is_older(told_at, self.quality_at) {
            return Vec::new();
        }
        vec![TemplateEvent::QualityChanged { from: self.quality.clone(), to, told_at, at }]
    }

    pub(crate) fn recategorise(
        &self,
        to: Option<Category>,
        told_at: DateTime<Utc>,
        at: DateTime<Utc>,
    ) -> Vec<TemplateEvent> {
        let Some(to) = to.filter(|to| Some(to) != self.category.as_ref() && !is_older(told_at, self.category_at))
        else {
            return Vec::new();
        };
        let blocked = self.category.is_some() && !to.is_cleared(&self.cleared);
        vec![TemplateEvent::CategoryChanged { from: self.category.clone(), to, blocked, told_at, at }]
    }

    fn hear_components(&self, components: Value, told_at: DateTime<Utc>, at: DateTime<Utc>) -> Vec<TemplateEvent> {
        if is_older(told_at, self.components_at) || components::say_the_same(&components, &self.components) {
            return Vec::new();
        }
        vec![TemplateEvent::ComponentsChanged { components, told_at, at }]
    }

    /// A whole list does not have it: it is gone, or never arrived. What was told of after the list was begun, or just
    /// before, may be missing from it.
    pub(crate) fn miss(&self, listed_at: DateTime<Utc>, at: DateTime<Utc>) -> Vec<TemplateEvent> {
        if !self.is_live() || listed_at - self.status_at < TimeDelta::seconds(LIST_LAG_SECONDS) {
            return Vec::new();
        }
        if self.status == Status::Submitting {
            let given_up = listed_at - self.status_at >= TimeDelta::seconds(SUBMISSION_SECONDS_MAX);
            return given_up.then(|| TemplateEvent::Refused { error: never_arrived(), at }).into_iter().collect();
        }
        vec![TemplateEvent::Vanished { name_blocked_until: self.block_from(at), at }]
    }
}

fn never_arrived() -> ProviderError {
    ProviderError {
        code: -1,
        class: ErrorClass::Transient,
        title: "Meta does not list the template: the request to make it was lost".to_owned(),
        details: None,
    }
}
