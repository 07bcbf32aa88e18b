//! What a group of templates agrees to.

use chrono::{DateTime, Utc};

use crate::decide::Decide;
use crate::template_group::command::{GroupChange, TemplateGroupCommand};
use crate::template_group::error::{DESCRIPTION_CHARS_MAX, MEMBERS_MAX, NAME_CHARS_MAX, TemplateGroupError};
use crate::template_group::event::TemplateGroupEvent;
use crate::template_group::pick_strategy::{Candidate, PickStrategy, pick, picks};
use crate::template_group::{Member, OpenGroup, TemplateGroup};

impl Decide for TemplateGroup {
    fn decide(&self, command: TemplateGroupCommand) -> Result<Vec<TemplateGroupEvent>, TemplateGroupError> {
        match command {
            TemplateGroupCommand::Create { id, change, at } => match self {
                Self::Absent => {
                    let name = change.name.ok_or(TemplateGroupError::Name)?;
                    let description = change.description.unwrap_or_default();
                    let members = change.members.unwrap_or_default();
                    check_words(&name, &description)?;
                    check_members(&members)?;
                    Ok(vec![TemplateGroupEvent::Created {
                        group_id: id,
                        name,
                        description,
                        strategy: change.strategy.unwrap_or(PickStrategy::PreferredThenOthers),
                        members,
                        phone_number_id: change.phone_number_id.flatten(),
                        at,
                    }])
                }
                Self::Open(_) | Self::Deleted(_) => Err(TemplateGroupError::Exists),
            },
            TemplateGroupCommand::Change { change, at } => self.existing()?.change(change, at),
            TemplateGroupCommand::Join { id, create_as, member, at } => match (self, create_as) {
                (Self::Open(group), _) => group.join(member, at),
                (Self::Absent, Some(name)) => {
                    let change =
                        GroupChange { name: Some(name), members: Some(vec![member]), ..GroupChange::default() };
                    self.decide(TemplateGroupCommand::Create { id, change, at })
                }
                (Self::Deleted(group), Some(_)) => {
                    let restored = TemplateGroupEvent::Restored { at };
                    Ok(std::iter::once(restored).chain(group.join(member, at)?).collect())
                }
                (Self::Absent | Self::Deleted(_), None) => Err(TemplateGroupError::NotFound),
            },
            TemplateGroupCommand::Pick { subject, count, seed, candidates, at } => {
                Ok(vec![self.existing()?.pick(subject, count.max(1), seed, &candidates, at)])
            }
            TemplateGroupCommand::Restore { change, at } => match self {
                Self::Open(group) => group.change(change, at),
                Self::Deleted(group) => {
                    let restored = TemplateGroupEvent::Restored { at };
                    Ok(std::iter::once(restored).chain(group.change(change, at)?).collect())
                }
                Self::Absent => Err(TemplateGroupError::NotFound),
            },
            TemplateGroupCommand::Delete { at } => match self {
                Self::Open(_) => Ok(vec![TemplateGroupEvent::Deleted { at }]),
                Self::Absent => Err(TemplateGroupError::NotFound),
                Self::Deleted(_) => Ok(vec![]),
            },
        }
    }
}

impl TemplateGroup {
    fn existing(&self) -> Result<&OpenGroup, TemplateGroupError> {
        self.open().ok_or(TemplateGroupError::NotFound)
    }
}

impl OpenGroup {
    fn change(&self, change: GroupChange, at: DateTime<Utc>) -> Result<Vec<TemplateGroupEvent>, TemplateGroupError> {
        let mut events = Vec::new();
        let name = change.name.unwrap_or_else(|| self.name.clone());
        let description = change.description.unwrap_or_else(|| self.description.clone());
        check_words(&name, &description)?;
        if name != self.name || description != self.description {
            events.push(TemplateGroupEvent::Renamed { name, description, at });
        }
        if let Some(members) = change.members.filter(|members| *members != self.members) {
            check_members(&members)?;
            events.push(TemplateGroupEvent::MembersChanged { members, at });
        }
        if let Some(strategy) = change.strategy.filter(|strategy| *strategy != self.strategy) {
            events.push(TemplateGroupEvent::StrategyChanged { strategy, at });
        }
        if let Some(phone_number_id) = change.phone_number_id.filter(|line| *line != self.phone_number_id) {
            events.push(TemplateGroupEvent::LinePinned { phone_number_id, at });
        }
        Ok(events)
    }

    fn join(&self, member: Member, at: DateTime<Utc>) -> Result<Vec<TemplateGroupEvent>, TemplateGroupError> {
        if self.members.contains(&member) {
            return Ok(Vec::new());
        }
        if self.members.len() >= MEMBERS_MAX {
            return Err(TemplateGroupError::TooMany);
        }
        Ok(vec![TemplateGroupEvent::MemberAdded { member, at }])
    }

    /// Only its own templates can be picked, in its own order.
    fn pick(
        &self,
        subject: String,
        count: u32,
        seed: u64,
        candidates: &[Candidate],
        at: DateTime<Utc>,
    ) -> TemplateGroupEvent {
        let own = self.members.iter().filter_map(|member| candidates.iter().find(|it| it.member == *member).cloned());
        let own: Vec<Candidate> = own.collect();
        let first = pick(self.strategy, self.turn, seed, &own);
        let last = picks(self.strategy, self.turn, seed, &own).nth(count as usize - 1);
        TemplateGroupEvent::Picked {
            subject,
            count,
            strategy: self.strategy,
            turn: self.turn,
            seed,
            considered: first.considered,
            chosen: first.chosen,
            next_turn: last.map_or(first.next_turn, |(_, last)| last.next_turn),
            at,
        }
    }
}

fn check_words(name: &str, description: &str) -> Result<(), TemplateGroupError> {
    if name.trim().is_empty() || name.chars().count() > NAME_CHARS_MAX {
        return Err(TemplateGroupError::Name);
    }
    if description.chars().count() > DESCRIPTION_CHARS_MAX {
        return Err(TemplateGroupError::Description);
    }
    Ok(())
}

fn check_members(members: &[Member]) -> Result<(), TemplateGroupError> {
    if members.len() > MEMBERS_MAX {
        return Err(TemplateGroupError::TooMany);
    }
    let twice = members.iter().enumerate().find(|(at, member)| members[..*at].contains(member));
    match twice {
        Some((_, member)) => Err(TemplateGroupError::Twice(format!("{} ({})", member.name, member.language))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shared::ids::{TemplateGroupId, TenantId};
    use crate::template::sending::Unsendable;
    use crate::template_group::pick_strategy::Considered;
    use cqrs_es::test::TestFramework;

    type Given = TestFramework<TemplateGroup>;

    fn at() -> DateTime<Utc> {
        DateTime::from_timestamp(1_700_000_000, 0).expect("a time")
    }

    fn id() -> TemplateGroupId {
        TemplateGroup::id_for(TenantId(uuid::Uuid::nil()), "Bookings")
    }

    fn member(name: &str) -> Member {
        Member { name: name.into(), language: "he".into() }
    }

    fn created(strategy: PickStrategy, members: &[&str]) -> TemplateGroupEvent {
        TemplateGroupEvent::Created {
            group_id: id(),
            name: "Bookings".into(),
            description: String::new(),
            strategy,
            members: members.iter().map(|name| member(name)).collect(),
            phone_number_id: None,
            at: at(),
        }
    }

    fn join(create_as: Option<&str>, name: &str) -> TemplateGroupCommand {
        TemplateGroupCommand::Join { id: id(), create_as: create_as.map(Into::into), member: member(name), at: at() }
    }

    fn added(name: &str) -> TemplateGroupEvent {
        TemplateGroupEvent::MemberAdded { member: member(name), at: at() }
    }

    #[test]
    fn the_default_is_the_preferred_one_then_the_others() {
        let change = GroupChange {
            name: Some("Bookings".into()),
            members: Some(vec![member("a"), member("b")]),
            ..GroupChange::default()
        };
        Given::with(())
            .given_no_previous_events()
            .when(TemplateGroupCommand::Create { id: id(), change, at: at() })
            .then_expect_events(vec![created(PickStrategy::PreferredThenOthers, &["a", "b"])]);
    }

    #[test]
    fn who_joins_makes_the_group_or_brings_it_back_or_joins_once() {
        let new = created(PickStrategy::PreferredThenOthers, &["a"]);
        Given::with(())
            .given_no_previous_events()
            .when(join(Some("Bookings"), "a"))
            .then_expect_events(vec![new.clone()]);
        Given::with(()).given(vec![new.clone()]).when(join(Some("Bookings"), "a")).then_expect_events(vec![]);
        Given::with(()).given(vec![new.clone()]).when(join(None, "b")).then_expect_events(vec![added("b")]);
        let deleted = || vec![new.clone(), TemplateGroupEvent::Deleted { at: at() }];
        let back = vec![TemplateGroupEvent::Restored { at: at() }, added("b")];
        Given::with(()).given(deleted()).when(join(Some("Bookings"), "b")).then_expect_events(back);
        Given::with(()).given(deleted()).when(join(None, "b")).then_expect_error(TemplateGroupError::NotFound);
    }

    #[test]
    fn only_what_changes_is_recorded() {
        let change = GroupChange {
            name: Some("Bookings".into()),
            strategy: Some(PickStrategy::Random),
            members: Some(vec![member("b"), member("a")]),
            phone_number_id: Some(Some("1".into())),
            ..GroupChange::default()
        };
        let events = vec![
            TemplateGroupEvent::MembersChanged { members: vec![member("b"), member("a")], at: at() },
            TemplateGroupEvent::StrategyChanged { strategy: PickStrategy::Random, at: at() },
            TemplateGroupEvent::LinePinned { phone_number_id: Some("1".into()), at: at() },
        ];
        let given = vec![created(PickStrategy::RoundRobin, &["a", "b"])];
        let command = || TemplateGroupCommand::Change { change: change.clone(), at: at() };
        Given::with(()).given(given.clone()).when(command()).then_expect_events(events.clone());
        Given::with(()).given([given, events].concat()).when(command()).then_expect_events(vec![]);
    }

    #[test]
    fn a_group_is_brought_back_to_what_it_was() {
        let new = || created(PickStrategy::RoundRobin, &["a"]);
        let content = GroupChange {
            name: Some("Bookings".into()),
            description: Some(String::new()),
            strategy: Some(PickStrategy::RoundRobin),
            members: Some(vec![member("a")]),
            phone_number_id: Some(None),
        };
        let restore = || TemplateGroupCommand::Restore { change: content.clone(), at: at() };
        Given::with(()).given(vec![new()]).when(restore()).then_expect_events(vec![]);
        let moved = TemplateGroupEvent::LinePinned { phone_number_id: Some("1".into()), at: at() };
        let deleted = TemplateGroupEvent::Deleted { at: at() };
        let back = vec![
            TemplateGroupEvent::Restored { at: at() },
            TemplateGroupEvent::MembersChanged { members: vec![member("a")], at: at() },
            TemplateGroupEvent::LinePinned { phone_number_id: None, at: at() },
        ];
        let given = vec![new(), added("b"), moved, deleted];
        Given::with(()).given(given).when(restore()).then_expect_events(back);
        Given::with(()).given_no_previous_events().when(restore()).then_expect_error(TemplateGroupError::NotFound);
    }

    #[test]
    fn bad_groups_are_refused() {
        let create = |change| TemplateGroupCommand::Create { id: id(), change, at: at() };
        let named = |name: &str| GroupChange { name: Some(name.into()), ..GroupChange::default() };
        let refused = |change, error| {
            Given::with(()).given_no_previous_events().when(create(change)).then_expect_error(error);
        };
        refused(GroupChange::default(), TemplateGroupError::Name);
        refused(named("  "), TemplateGroupError::Name);
        let twice = GroupChange { members: Some(vec![member("a"), member("a")]), ..named("x") };
        refused(twice, TemplateGroupError::Twice("a (he)".into()));
        let many = (0..101).map(|n| member(&n.to_string())).collect();
        refused(GroupChange { members: Some(many), ..named("x") }, TemplateGroupError::TooMany);
    }

    #[test]
    fn a_pick_says_what_was_looked_at_and_a_replay_picks_the_same() {
        let candidate = |name: &str, unsendable| Candidate { member: member(name), unsendable };
        let candidates = vec![
            candidate("b", None),
            candidate("a", Some(Unsendable::RefusedBefore { code: 132_015 })),
            candidate("stranger", None),
        ];
        let command = TemplateGroupCommand::Pick { subject: "m1".into(), count: 1, seed: 5, candidates, at: at() };
        let picked = |turn, considered: Vec<Considered>| TemplateGroupEvent::Picked {
            subject: "m1".into(),
            count: 1,
            strategy: PickStrategy::RoundRobin,
            turn,
            seed: 5,
            considered,
            chosen: Some(member("b")),
            next_turn: 2,
            at: at(),
        };
        let passed = Considered { member: member("a"), passed_over: Some(Unsendable::RefusedBefore { code: 132_015 }) };
        let b = Considered { member: member("b"), passed_over: None };
        let first = picked(0, vec![passed.clone(), b.clone()]);
        let given = created(PickStrategy::RoundRobin, &["a", "b"]);
        Given::with(()).given(vec![given.clone()]).when(command.clone()).then_expect_events(vec![first.clone()]);
        let second = picked(2, vec![passed, b]);
        Given::with(()).given(vec![given, first]).when(command).then_expect_events(vec![second]);
    }
}
