//! What a lead agrees to.

use chrono::{DateTime, Utc};
use cqrs_es::Aggregate as _;
use serde_json::Value;

use crate::decide::Decide;
use crate::lead::command::{LeadCommand, LeadFacts};
use crate::lead::error::LeadError;
use crate::lead::event::LeadEvent;
use crate::lead::{KnownLead, Lead};
use crate::personal::Personal as _;

impl Decide for Lead {
    fn decide(&self, command: LeadCommand) -> Result<Vec<LeadEvent>, LeadError> {
        match command {
            LeadCommand::Tell { contact, facts, at, .. } if self.contact().is_none() && self.known().is_some() => {
                let identified = LeadEvent::ContactIdentified { contact_id: contact, at };
                let changes = self.known().ok_or(LeadError::NotFound)?.change(facts, at)?;
                Ok(std::iter::once(identified).chain(changes).collect())
            }
            LeadCommand::Tell { id, contact, phone, facts, at } => match self {
                Self::Known(lead) => lead.change(facts, at),
                Self::Erased(erased) if *erased == contact => Err(LeadError::ContactErased),
                Self::Absent | Self::Erased(_) => {
                    let (contact_id, phone, source) = (Some(contact), Some(phone), facts.source.clone());
                    let captured = LeadEvent::Captured { lead_id: id, contact_id, phone, source, at };
                    let mut lead = Self::Absent;
                    lead.apply(captured.clone());
                    let mut events = vec![captured];
                    events.extend(lead.known().ok_or(LeadError::NotFound)?.change(facts, at)?);
                    Ok(events)
                }
            },
            LeadCommand::Change { facts, at } => self.known().ok_or(LeadError::NotFound)?.change(facts, at),
            LeadCommand::Erase { contact, at } => {
                let theirs = self.known().is_some_and(|lead| lead.contact_id == Some(contact));
                Ok(theirs.then_some(LeadEvent::ContactErased { at }).into_iter().collect())
            }
        }
    }
}

impl KnownLead {
    fn change(&self, facts: LeadFacts, at: DateTime<Utc>) -> Result<Vec<LeadEvent>, LeadError> {
        facts.check()?;
        let mut events = Vec::new();
        let profile = facts.profile_name.filter(|name| self.name.is_none() && is_name(name));
        let name = facts.name.or(profile).filter(|name| Some(name) != self.name.as_ref());
        let email = facts.email.filter(|email| Some(email) != self.email.as_ref());
        let mut fields = facts.fields;
        fields.retain(|field, value| match value {
            Value::Null => self.fields.contains_key(field),
            value => self.fields.get(field) != Some(value),
        });
        let kept = self.fields.len() + fields.values().filter(|value| !value.is_null()).count();
        if kept > 100 {
            return Err(LeadError::Fields);
        }
        if name.is_some() || email.is_some() || !fields.is_empty() {
            events.push(LeadEvent::FieldsChanged { name, email, fields, at });
        }
        if let Some(to) = facts.status.filter(|to| *to != self.status) {
            events.push(LeadEvent::StatusChanged { from: self.status.clone(), to, at });
        }
        let removed: Vec<String> = facts.remove_tags.into_iter().filter(|tag| self.tags.contains(tag)).collect();
        let mut added: Vec<String> = Vec::new();
        for tag in facts.add_tags {
            if !self.tags.contains(&tag) && !added.contains(&tag) {
                added.push(tag);
            }
        }
        if self.tags.len() + added.len() > 50 + removed.len() {
            return Err(LeadError::Tags);
        }
        if !added.is_empty() || !removed.is_empty() {
            events.push(LeadEvent::TagsChanged { added, removed, at });
        }
        Ok(events)
    }
}

impl LeadFacts {
    fn check(&self) -> Result<(), LeadError> {
        if self.status.as_deref().is_some_and(|status| !is_status(status)) {
            return Err(LeadError::Status);
        }
        if self.name.as_deref().is_some_and(|name| !is_name(name)) {
            return Err(LeadError::Name);
        }
        if let Some(email) = self.email.as_deref().filter(|email| !is_email(email)) {
            return Err(LeadError::Email(email.to_owned()));
        }
        let too_long = |value: &Value| value.as_str().is_some_and(|text| text.chars().count() > 640);
        if self.fields.len() > 100 || self.fields.values().any(too_long) {
            return Err(LeadError::Fields);
        }
        if self.add_tags.iter().any(|tag| tag.trim().is_empty() || tag.chars().count() > 60) {
            return Err(LeadError::Tags);
        }
        Ok(())
    }
}

fn is_name(text: &str) -> bool {
    text.chars().count() <= 200
}

/// Whether a word can be a lead's status.
pub fn is_status(word: &str) -> bool {
    (1..=40).contains(&word.len())
        && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-'))
}

/// Whether a text can be an e-mail address.
pub fn is_email(text: &str) -> bool {
    let well_formed = |domain: &str| domain.contains('.') && !domain.starts_with('.') && !domain.ends_with('.');
    text.len() <= 254
        && !text.contains(char::is_whitespace)
        && text
            .split_once('@')
            .is_some_and(|(user, domain)| !user.is_empty() && !domain.contains('@') && well_formed(domain))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shared::ids::{ContactId, LeadId, TenantId};
    use crate::shared::phone::Phone;
    use cqrs_es::test::TestFramework;

    type Given = TestFramework<Lead>;

    fn at() -> DateTime<Utc> {
        DateTime::from_timestamp(1_700_000_000, 0).expect("a time")
    }

    fn phone() -> Phone {
        Phone::parse("+972501234567").expect("a phone")
    }

    fn id() -> LeadId {
        Lead::id_of(TenantId(uuid::Uuid::nil()), &phone())
    }

    fn captured() -> LeadEvent {
        let (contact_id, phone, source) = (Some(contact(1)), Some(phone()), Some("website".into()));
        LeadEvent::Captured { lead_id: id(), contact_id, phone, source, at: at() }
    }

    fn contact(n: u128) -> ContactId {
        ContactId(uuid::Uuid::from_u128(n))
    }

    fn tell(n: u128, facts: LeadFacts) -> LeadCommand {
        LeadCommand::Tell { id: id(), contact: contact(n), phone: phone(), facts, at: at() }
    }

    fn status(to: &str) -> LeadFacts {
        LeadFacts { status: Some(to.into()), ..Default::default() }
    }

    #[test]
    fn the_first_word_captures_and_the_same_word_again_is_quiet() {
        let facts = LeadFacts { source: Some("website".into()), name: Some("Dana".into()), ..Default::default() };
        let tell = tell(1, facts);
        let named =
            LeadEvent::FieldsChanged { name: Some("Dana".into()), email: None, fields: Default::default(), at: at() };
        Given::with(())
            .given_no_previous_events()
            .when(tell.clone())
            .then_expect_events(vec![captured(), named.clone()]);
        Given::with(()).given(vec![captured(), named]).when(tell).then_expect_events(vec![]);
    }

    #[test]
    fn what_the_channel_calls_them_is_taken_while_no_name_is_known() {
        let change = |profile: &str| LeadFacts { profile_name: Some(profile.into()), ..Default::default() };
        let named = |name: &str| LeadEvent::FieldsChanged {
            name: Some(name.into()),
            email: None,
            fields: Default::default(),
            at: at(),
        };
        let tell = |facts| LeadCommand::Change { facts, at: at() };
        Given::with(()).given(vec![captured()]).when(tell(change("~dana~"))).then_expect_events(vec![named("~dana~")]);
        Given::with(()).given(vec![captured(), named("Dana")]).when(tell(change("~dana~"))).then_expect_events(vec![]);
    }

    #[test]
    fn an_erased_lead_is_captured_anew_for_another_contact_alone() {
        let erased = || vec![captured(), LeadEvent::ContactErased { at: at() }];
        let erase = |n| LeadCommand::Erase { contact: contact(n), at: at() };
        Given::with(())
            .given(vec![captured()])
            .when(erase(1))
            .then_expect_events(vec![LeadEvent::ContactErased { at: at() }]);
        Given::with(()).given(vec![captured()]).when(erase(2)).then_expect_events(vec![]);
        Given::with(()).given(erased()).when(erase(1)).then_expect_events(vec![]);
        Given::with(()).given(erased()).when(tell(1, LeadFacts::default())).then_expect_error(LeadError::ContactErased);
        let anew = LeadEvent::Captured {
            lead_id: id(),
            contact_id: Some(contact(2)),
            phone: Some(phone()),
            source: None,
            at: at(),
        };
        Given::with(()).given(erased()).when(tell(2, LeadFacts::default())).then_expect_events(vec![anew]);
    }

    #[test]
    fn a_lead_without_a_contact_learns_it_when_it_is_told_of() {
        let old = LeadEvent::Captured { lead_id: id(), contact_id: None, phone: Some(phone()), source: None, at: at() };
        let identified = LeadEvent::ContactIdentified { contact_id: contact(7), at: at() };
        Given::with(()).given(vec![old]).when(tell(7, LeadFacts::default())).then_expect_events(vec![identified]);
    }

    #[test]
    fn a_status_moves_from_where_it_stood() {
        Given::with(())
            .given(vec![captured()])
            .when(LeadCommand::Change { facts: status("won"), at: at() })
            .then_expect_events(vec![LeadEvent::StatusChanged { from: "new".into(), to: "won".into(), at: at() }]);
    }

    #[test]
    fn bad_words_are_refused() {
        let change = |facts| LeadCommand::Change { facts, at: at() };
        let given = || Given::with(()).given(vec![captured()]);
        given().when(change(status("Not A Status"))).then_expect_error(LeadError::Status);
        let email = LeadFacts { email: Some("dana@".into()), ..Default::default() };
        given().when(change(email)).then_expect_error(LeadError::Email("dana@".into()));
        Given::with(()).given_no_previous_events().when(change(status("won"))).then_expect_error(LeadError::NotFound);
    }
}
