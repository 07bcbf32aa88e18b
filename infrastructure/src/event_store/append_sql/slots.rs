//! What appointments take up: a resource of an account, for a time. The table's exclusion constraint refuses a second
//! one, whoever writes it and when.

use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};
use sqlx::Arguments;
use sqlx::error::BoxDynError;
use sqlx::postgres::PgArguments;
use uuid::Uuid;

/// Bits of a number that tell the second; above them stands the resource. They reach for 34 000 years.
const SECOND_BITS: u32 = 40;

/// Slots to be taken up.
#[derive(Default)]
pub(super) struct Slots {
    pub(super) command: Vec<i32>,
    tenant: Vec<Uuid>,
    appointment: Vec<Uuid>,
    resource: Vec<String>,
    taken_from: Vec<DateTime<Utc>>,
    free_from: Vec<DateTime<Utc>>,
    first: Vec<String>,
    end: Vec<String>,
}

impl Slots {
    pub(super) fn add(
        &mut self,
        command: i32,
        (tenant, appointment): (Uuid, Uuid),
        resource: &str,
        (from, until): (DateTime<Utc>, DateTime<Utc>),
    ) {
        self.command.push(command);
        self.tenant.push(tenant);
        self.appointment.push(appointment);
        self.resource.push(resource.to_owned());
        self.taken_from.push(from);
        self.free_from.push(until);
        self.first.push(number(tenant, resource, from).to_string());
        self.end.push(number(tenant, resource, until).to_string());
    }

    pub(super) fn bind(self, to: &mut PgArguments) -> Result<(), BoxDynError> {
        to.add(self.command)?;
        to.add(self.tenant)?;
        to.add(self.appointment)?;
        to.add(self.resource)?;
        to.add(self.taken_from)?;
        to.add(self.free_from)?;
        to.add(self.first)?;
        to.add(self.end)
    }
}

/// Slots to be left.
#[derive(Default)]
pub(super) struct Left {
    pub(super) command: Vec<i32>,
    tenant: Vec<Uuid>,
    appointment: Vec<Uuid>,
}

impl Left {
    pub(super) fn add(&mut self, command: i32, tenant: Uuid, appointment: Uuid) {
        self.command.push(command);
        self.tenant.push(tenant);
        self.appointment.push(appointment);
    }

    pub(super) fn bind(self, to: &mut PgArguments) -> Result<(), BoxDynError> {
        to.add(self.command)?;
        to.add(self.tenant)?;
        to.add(self.appointment)
    }
}

/// An instant of a resource, on the one line of numbers all resources share: 88 bits of a hash say whose, the rest
/// which second.
fn number(tenant: Uuid, resource: &str, at: DateTime<Utc>) -> u128 {
    let digest = Sha256::new().chain_update(tenant.as_bytes()).chain_update(resource).finalize();
    let whose = digest.iter().take(11).fold(0, |number: u128, byte| number << 8 | u128::from(*byte));
    let second = u128::try_from(at.timestamp()).unwrap_or_default();
    whose << SECOND_BITS | second.min((1 << SECOND_BITS) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_has_its_own_part_of_the_line() {
        let (dana, noa) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        let (ten, eleven) = (at("2026-12-01T10:00:00Z"), at("2026-12-01T11:00:00Z"));
        assert_eq!(number(dana, "chair", eleven) - number(dana, "chair", ten), 3_600);
        let others = [number(dana, "room", ten), number(noa, "chair", ten)];
        for other in others {
            assert!(other.abs_diff(number(dana, "chair", ten)) >= 1 << SECOND_BITS, "{other}");
        }
        assert!(number(dana, "chair", at("1969-01-01T00:00:00Z")) < number(dana, "chair", ten));
    }
}
