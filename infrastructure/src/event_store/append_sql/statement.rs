//! The text of the statement and its arguments, put together of the parts that are needed.

use sqlx::Arguments;
use sqlx::error::BoxDynError;
use sqlx::postgres::PgArguments;

use crate::event_store::append_sql::columns::Columns;
use crate::event_store::append_sql::part;

/// A statement in the making: its parts, and the arguments in the order of their numbers.
pub(super) struct Statement {
    parts: Vec<String>,
    pub(super) arguments: PgArguments,
    refusals: Vec<&'static str>,
    claims: bool,
}

impl Statement {
    /// The statement that writes these columns.
    pub(super) fn of(columns: Columns) -> Result<Self, sqlx::Error> {
        let Columns { once, held, events, mark, told, about, sends, later, slots, left, buried, recipients } = columns;
        let mut it = Self { parts: Vec::new(), arguments: PgArguments::default(), refusals: Vec::new(), claims: false };
        if !once.command.is_empty() {
            it.add(part::KEYS, |to| once.bind(to))?;
            it.refusals.push(part::KEYS_REFUSED);
        }
        if !held.0.is_empty() {
            it.add(part::LEASES, |to| to.add(held.0).and_then(|()| to.add(held.1)).and_then(|()| to.add(held.2)))?;
            it.refusals.push(part::LEASES_REFUSED);
        }
        if !buried.command.is_empty() {
            it.add(part::GRAVES, |to| buried.bind(to))?;
            it.refusals.push(part::GRAVES_REFUSED);
        }
        if !recipients.command.is_empty() {
            it.add(part::RECIPIENTS, |to| recipients.bind(to))?;
            it.refusals.push(part::RECIPIENTS_REFUSED);
        }
        if !it.refusals.is_empty() {
            it.parts.push(format!("refused as ({})", it.refusals.join(" union all ")));
        }
        it.add(part::EVENTS, |to| events.bind(to))?;
        if !mark.command.is_empty() {
            it.add(part::MARKS, |to| mark.bind(to))?;
        }
        if !about.command.is_empty() {
            it.add(part::ABOUT, |to| about.bind(to))?;
        }
        if !told.0.is_empty() {
            it.add(part::TOLD, |to| to.add(told.0).and_then(|()| to.add(told.1)).and_then(|()| to.add(told.2)))?;
        }
        if !sends.command.is_empty() {
            // Only a retry finds a row of its message, a dead one; the others need not look.
            let again = if sends.retry.iter().any(|retry| *retry > 0) { part::SENDS_AGAIN } else { "" };
            it.claims = true;
            it.add(&part::SENDS.replace("{again}", again), |to| sends.bind(to))?;
        }
        if !later.command.is_empty() {
            it.add(part::LATER, |to| later.bind(to))?;
        }
        if !slots.command.is_empty() {
            it.add(part::SLOTS, |to| slots.bind(to))?;
        }
        if !left.command.is_empty() {
            it.add(part::LEFT, |to| left.bind(to))?;
        }
        Ok(it)
    }

    /// Adds a part, whose `{1}`, `{2}`, … are the next arguments.
    fn add(
        &mut self,
        part: &str,
        bind: impl FnOnce(&mut PgArguments) -> Result<(), BoxDynError>,
    ) -> Result<(), sqlx::Error> {
        let before = self.arguments.len();
        bind(&mut self.arguments).map_err(sqlx::Error::Encode)?;
        let mut text = part.to_owned();
        for (n, number) in (1..).zip(before + 1..=self.arguments.len()) {
            text = text.replace(&format!("{{{n}}}"), &format!("${number}"));
        }
        let unless = if self.refusals.is_empty() { "" } else { part::UNLESS_REFUSED };
        self.parts.push(text.replace("{unless_refused}", unless));
        Ok(())
    }

    pub(super) fn text(&self) -> String {
        let refused = if self.refusals.is_empty() { "" } else { part::REFUSED };
        let claimed = if self.claims { part::CLAIMED } else { "" };
        format!("with {}\n{}{refused}{claimed}", self.parts.join(", "), part::APPENDED)
    }
}
