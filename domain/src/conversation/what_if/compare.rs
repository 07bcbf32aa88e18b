//! Two runs side by side: units of work in pairs, then messages in pairs.

use std::collections::BTreeSet;

use crate::conversation::what_if::walk::Replayed;
use crate::conversation::what_if::{Change, Comparison, Cue, Divergence, Unit, Wanted};
use crate::flow::run::{Outcome, Visit};

/// A unit of work as recorded, as replayed, or both.
type Pair = (Option<Unit>, Option<Unit>);

/// Compares a run with its replay.
pub(super) fn compare(recorded: Vec<Unit>, replayed: Vec<Replayed>) -> Comparison {
    let mut comparison = Comparison::default();
    for (unit, (recorded, replayed)) in pairs(recorded, replayed).into_iter().enumerate() {
        comparison.sends(wanted(&recorded), wanted(&replayed));
        if comparison.divergence.is_none() && course(&recorded) != course(&replayed) {
            comparison.divergence = Some(Divergence { unit, recorded, replayed });
        }
    }
    comparison
}

impl Comparison {
    fn sends(&mut self, recorded: &[Wanted], replayed: &[Wanted]) {
        let both = recorded.len().min(replayed.len());
        for (before, after) in recorded.iter().zip(replayed).filter(|(before, after)| before != after) {
            self.changed.push(Change { before: before.clone(), after: after.clone() });
        }
        self.removed.extend_from_slice(&recorded[both..]);
        self.added.extend_from_slice(&replayed[both..]);
    }
}

fn wanted(unit: &Option<Unit>) -> &[Wanted] {
    unit.as_ref().map_or(&[], |unit| &unit.wanted)
}

/// What makes two units of work the same: the way they went, and whether and how the run ended there.
fn course(unit: &Option<Unit>) -> Option<(&[Visit], Option<Outcome>)> {
    unit.as_ref().map(|unit| (unit.path.as_slice(), unit.outcome))
}

/// Pairs units by the input they share. A wait of another length ends at another moment: what the replayed run
/// did when its own time was up stands beside what the recorded run did when its was.
fn pairs(recorded: Vec<Unit>, replayed: Vec<Replayed>) -> Vec<Pair> {
    let shared: BTreeSet<usize> = replayed.iter().filter_map(|it| it.with).collect();
    let mut replayed = replayed.into_iter().peekable();
    let mut pairs = Vec::new();
    for (index, unit) in recorded.into_iter().enumerate() {
        let timed = is_timed(&unit) && !shared.contains(&index);
        let partner = loop {
            let same = |it: &Replayed| it.with == Some(index) || (timed && it.with.is_none() && is_timed(&it.unit));
            if let Some(partner) = replayed.next_if(same) {
                break Some(partner.unit);
            }
            match replayed.next_if(|it| it.with.is_none() && it.unit.at <= unit.at) {
                Some(alone) => pairs.push((None, Some(alone.unit))),
                None => break None,
            }
        };
        pairs.push((Some(unit), partner));
    }
    pairs.extend(replayed.map(|it| (None, Some(it.unit))));
    pairs
}

fn is_timed(unit: &Unit) -> bool {
    matches!(unit.cue, Cue::Timeout | Cue::Expiry)
}
