//! Which template of a group is sent: an order to look at them in, and the first one in it that may be sent. The same
//! facts lead to the same choice for ever, so that a replay picks as it was picked.

use serde::{Deserialize, Serialize};

use crate::template::sending::Unsendable;
use crate::template_group::Member;

string_enum! {
    /// How a group picks.
    PickStrategy {
        /// The first one, and the others in their order when it may not be sent.
        PreferredThenOthers = "preferred_then_others",
        /// One after the other.
        RoundRobin = "round_robin",
        /// By chance.
        Random = "random",
    }
}

/// A template that may be picked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The template.
    pub member: Member,
    /// Why it may not be sent.
    pub unsendable: Option<Unsendable>,
}

/// A template that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Considered {
    /// The template.
    pub member: Member,
    /// Why it was passed over; absent for the one that was chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passed_over: Option<Unsendable>,
}

/// A choice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pick {
    /// What was looked at, in that order; the last one is the chosen one, when there is one.
    pub considered: Vec<Considered>,
    /// What was chosen.
    pub chosen: Option<Member>,
    /// Whose turn is next.
    pub next_turn: u64,
}

/// Picks the first of the candidates, in the strategy's order, that may be sent.
pub fn pick(strategy: PickStrategy, turn: u64, seed: u64, candidates: &[Candidate]) -> Pick {
    let mut considered = Vec::new();
    for at in order(strategy, turn, seed, candidates.len()) {
        let Candidate { member, unsendable } = &candidates[at];
        considered.push(Considered { member: member.clone(), passed_over: unsendable.clone() });
        if unsendable.is_none() {
            let next_turn = if strategy == PickStrategy::RoundRobin { at as u64 + 1 } else { turn };
            return Pick { considered, chosen: Some(member.clone()), next_turn };
        }
    }
    Pick { considered, chosen: None, next_turn: turn }
}

/// One pick after the other, each with the turn the one before left and the next seed, and with what it was drawn by.
pub fn picks(
    strategy: PickStrategy,
    turn: u64,
    seed: u64,
    candidates: &[Candidate],
) -> impl Iterator<Item = ((u64, u64), Pick)> {
    let mut drawn = (turn, seed);
    std::iter::repeat_with(move || {
        let (turn, seed) = drawn;
        let picked = pick(strategy, turn, seed, candidates);
        drawn = (picked.next_turn, seed.wrapping_add(1));
        ((turn, seed), picked)
    })
}

/// The order candidates are looked at in.
pub fn order(strategy: PickStrategy, turn: u64, seed: u64, candidates: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..candidates).collect();
    match strategy {
        PickStrategy::PreferredThenOthers => {}
        PickStrategy::RoundRobin if candidates > 0 => {
            let first = usize::try_from(turn % candidates as u64).unwrap_or_default();
            order.rotate_left(first);
        }
        PickStrategy::RoundRobin => {}
        PickStrategy::Random => shuffle(&mut order, seed),
    }
    order
}

/// Fisher and Yates, driven by SplitMix64 (Steele, Lea, Flood 2014): written out, because it must never change.
fn shuffle(order: &mut [usize], seed: u64) {
    let mut state = seed;
    for last in (1..order.len()).rev() {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        let other = (u128::from(z) * (last as u128 + 1)) >> 64;
        order.swap(last, usize::try_from(other).unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidates(sendable: &[bool]) -> Vec<Candidate> {
        let each = |(n, sendable): (usize, &bool)| Candidate {
            member: Member { name: format!("t{n}"), language: "he".into() },
            unsendable: (!sendable).then_some(Unsendable::WorkNotApproved),
        };
        sendable.iter().enumerate().map(each).collect()
    }

    fn chosen(pick: &Pick) -> Option<&str> {
        pick.chosen.as_ref().map(|member| member.name.as_str())
    }

    #[test]
    fn the_preferred_one_comes_first_and_the_others_after_it() {
        let strategy = PickStrategy::PreferredThenOthers;
        assert_eq!(chosen(&pick(strategy, 7, 9, &candidates(&[true, true]))), Some("t0"));
        let second = pick(strategy, 0, 0, &candidates(&[false, true, true]));
        assert_eq!(chosen(&second), Some("t1"));
        let reasons: Vec<_> = second.considered.iter().map(|it| it.passed_over.clone()).collect();
        assert_eq!(reasons, [Some(Unsendable::WorkNotApproved), None], "the third was not looked at");
        let none = pick(strategy, 0, 0, &candidates(&[false, false]));
        assert_eq!((chosen(&none), none.considered.len()), (None, 2));
        assert_eq!(pick(strategy, 0, 0, &[]).chosen, None);
    }

    #[test]
    fn turns_are_taken_and_who_may_not_be_sent_is_passed_over() {
        let all = candidates(&[true, false, true]);
        let (mut turn, mut names) = (0, Vec::new());
        for _ in 0..5 {
            let pick = pick(PickStrategy::RoundRobin, turn, 0, &all);
            names.push(pick.chosen.clone().expect("one").name);
            turn = pick.next_turn;
        }
        assert_eq!(names, ["t0", "t2", "t0", "t2", "t0"]);
        assert_eq!(chosen(&pick(PickStrategy::RoundRobin, u64::MAX, 0, &candidates(&[true]))), Some("t0"));
    }

    #[test]
    fn chance_is_even_and_repeats_itself() {
        let all = candidates(&[true; 4]);
        let mut counts = [0_u32; 4];
        for seed in 0..4_000 {
            let pick = pick(PickStrategy::Random, 0, seed, &all);
            assert_eq!(pick, super::pick(PickStrategy::Random, 0, seed, &all));
            let n = order(PickStrategy::Random, 0, seed, 4)[0];
            assert_eq!(pick.chosen, Some(all[n].member.clone()));
            counts[n] += 1;
        }
        assert!(counts.iter().all(|count| (900..1_100).contains(count)), "{counts:?}");
        // The order of a seed is part of what was recorded with it: this may never change.
        assert_eq!(order(PickStrategy::Random, 0, 42, 6), order(PickStrategy::Random, 9, 42, 6));
    }
}
