//! Who may change whom among the people who work in an account. The owner is none of them: nobody changes the owner
//! from here.

use crate::access::{Access, Need, Permission};
use crate::shared::ids::UserId;

/// Why somebody may not do this to somebody who works in the account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StaffError {
    /// What is to be granted is not theirs to grant.
    #[error("nobody grants what they do not hold: `{0}`")]
    NotHeld(Permission),
    /// Whom they want to change stands above them.
    #[error("this person holds the permission `{0}`, and you do not")]
    Above(Permission),
    /// They want to change what they themselves may do.
    #[error("nobody changes what they themselves may do")]
    OwnRights,
    /// They want to remove themselves.
    #[error("nobody deletes themselves")]
    Oneself,
}

/// Somebody who works in the account, as whoever wants to change them finds them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Colleague<'a> {
    /// Who.
    pub id: UserId,
    /// What was granted.
    pub granted: &'a [Permission],
    /// Whether they may sign in.
    pub active: bool,
}

/// What is to become of somebody's rights; absent parts stay as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rights<'a> {
    /// What is granted from now on.
    pub granted: Option<&'a [Permission]>,
    /// Whether they may sign in from now on.
    pub active: Option<bool>,
}

impl Access {
    /// Whether they may make somebody hold these.
    ///
    /// # Errors
    /// One of them is not theirs.
    pub fn grants(&self, permissions: &[Permission]) -> Result<(), StaffError> {
        self.first_missing(permissions).map_or(Ok(()), |missing| Err(StaffError::NotHeld(missing)))
    }

    /// Whether `me`, who has this access, may change a colleague so.
    ///
    /// # Errors
    /// The colleague stands above them, or is they themselves, or they grant what they do not hold.
    pub fn changes(&self, me: UserId, colleague: Colleague<'_>, rights: Rights<'_>) -> Result<(), StaffError> {
        let granted = rights.granted.filter(|granted| !same(granted, colleague.granted));
        let active = rights.active.filter(|active| *active != colleague.active);
        if me == colleague.id && (granted.is_some() || active.is_some()) {
            return Err(StaffError::OwnRights);
        }
        self.not_above(colleague)?;
        granted.map_or(Ok(()), |granted| self.grants(granted))
    }

    /// Whether `me`, who has this access, may remove a colleague.
    ///
    /// # Errors
    /// The colleague stands above them, or is they themselves.
    pub fn removes(&self, me: UserId, colleague: Colleague<'_>) -> Result<(), StaffError> {
        if me == colleague.id { Err(StaffError::Oneself) } else { self.not_above(colleague) }
    }

    fn not_above(&self, colleague: Colleague<'_>) -> Result<(), StaffError> {
        self.first_missing(colleague.granted).map_or(Ok(()), |missing| Err(StaffError::Above(missing)))
    }

    fn first_missing(&self, permissions: &[Permission]) -> Option<Permission> {
        permissions.iter().copied().find(|permission| !self.meets(Need::Granted(*permission)))
    }
}

/// Whether both hold the same, in whatever order.
fn same(one: &[Permission], other: &[Permission]) -> bool {
    let within = |some: &[Permission], all: &[Permission]| some.iter().all(|permission| all.contains(permission));
    within(one, other) && within(other, one)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::Role;
    use Permission::{Flows, Inbox, People};

    fn id(number: u128) -> UserId {
        UserId(uuid::Uuid::from_u128(number))
    }

    fn colleague(number: u128, granted: &[Permission]) -> Colleague<'_> {
        Colleague { id: id(number), granted, active: true }
    }

    fn access(role: Role, granted: &[Permission]) -> Access {
        Access { role, granted: granted.to_vec(), verified: true }
    }

    fn lead() -> Access {
        access(Role::Employee, &[People, Inbox])
    }

    fn grant(granted: &[Permission]) -> Rights<'_> {
        Rights { granted: Some(granted), active: None }
    }

    #[test]
    fn an_employee_changes_those_who_hold_no_more_and_grants_no_more() {
        let (lead, me) = (lead(), id(1));
        assert_eq!(lead.changes(me, colleague(2, &[Inbox]), grant(&[Inbox, People])), Ok(()));
        assert_eq!(lead.changes(me, colleague(2, &[Inbox]), grant(&[Flows])), Err(StaffError::NotHeld(Flows)));
        // Not even to take something away from them.
        assert_eq!(lead.changes(me, colleague(2, &[Inbox, Flows]), grant(&[])), Err(StaffError::Above(Flows)));
        assert_eq!(lead.changes(me, colleague(2, &[Flows]), Rights::default()), Err(StaffError::Above(Flows)));
        assert_eq!(lead.removes(me, colleague(2, &[Inbox])), Ok(()));
        assert_eq!(lead.removes(me, colleague(2, &[Flows])), Err(StaffError::Above(Flows)));
        assert_eq!((lead.grants(&[Inbox]), lead.grants(&[Flows])), (Ok(()), Err(StaffError::NotHeld(Flows))));
    }

    #[test]
    fn nobody_changes_their_own_rights() {
        let (lead, me) = (lead(), id(1));
        let myself = colleague(1, &[People, Inbox]);
        assert_eq!(lead.changes(me, myself, grant(&[People])), Err(StaffError::OwnRights));
        let inactive = Rights { active: Some(false), granted: None };
        assert_eq!(lead.changes(me, myself, inactive), Err(StaffError::OwnRights));
        assert_eq!(lead.removes(me, myself), Err(StaffError::Oneself));
        // What stays as it is may be sent back.
        let same = Rights { granted: Some(&[Inbox, People]), active: Some(true) };
        assert_eq!(lead.changes(me, myself, same), Ok(()));
    }

    #[test]
    fn the_owner_may_do_all_of_it() {
        let owner = access(Role::Owner, &[]);
        assert_eq!(owner.changes(id(1), colleague(2, Permission::ALL), grant(&[])), Ok(()));
        assert_eq!(owner.removes(id(1), colleague(2, Permission::ALL)), Ok(()));
        assert_eq!(owner.grants(Permission::ALL), Ok(()));
    }
}
