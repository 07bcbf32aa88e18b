//! Who may do what: roles, permissions, and the one table that says whether a need is met. What no row of it allows
//! is refused.

pub mod staff;

string_enum! {
    /// What an owner grants an employee, or an API client as its scope.
    Permission {
        /// Read conversations; answer, claim, close them.
        Inbox = "inbox",
        /// Make, change, publish and try flows.
        Flows = "flows",
        /// Author, group and send templates.
        Templates = "templates",
        /// Read and change leads and contacts.
        Leads = "leads",
        /// Read and change appointments.
        Calendar = "calendar",
        /// Connect channels, set the account up.
        Settings = "settings",
        /// Read histories, proofs, deliveries, usage.
        Reports = "reports",
        /// Invite and change employees, see everybody's tasks.
        People = "people",
        /// Start flows from outside systems.
        Outbound = "outbound",
    }
}

impl Permission {
    /// The scopes an API client may hold: whatever does not hand out rights or take secrets in.
    pub const SCOPES: &'static [Self] =
        &[Self::Inbox, Self::Flows, Self::Templates, Self::Leads, Self::Calendar, Self::Reports, Self::Outbound];
}

string_enum! {
    /// What somebody is to the installation and to the account.
    Role {
        /// Administers the installation, and owns an account.
        Admin = "admin",
        /// Owns an account.
        Owner = "user",
        /// Works in somebody's account.
        Employee = "employee",
        /// A system with an account's API credentials.
        Client = "client",
    }
}

/// What an operation asks of who calls it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// To be signed in, as a person or an API client.
    Anyone,
    /// To be signed in as a person.
    Person,
    /// To own the account, or to be granted this in it.
    Granted(Permission),
    /// To own the account.
    Owner,
    /// To administer the installation, in person.
    Administrator,
}

/// What somebody is and was granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// Their role.
    pub role: Role,
    /// What was granted; counts for employees and API clients alone.
    pub granted: Vec<Permission>,
    /// Whether they proved that they can be reached; only who registered alone ever has to.
    pub verified: bool,
}

impl Access {
    /// Whether the need is met. Who is not verified yet meets none but to be signed in.
    pub fn meets(&self, need: Need) -> bool {
        match (need, self.role) {
            (Need::Anyone, _) => true,
            _ if !self.verified => false,
            (_, Role::Admin) => true,
            (Need::Administrator, Role::Owner | Role::Employee | Role::Client) => false,
            (Need::Person | Need::Owner | Need::Granted(_), Role::Owner) => true,
            (Need::Person, Role::Employee) => true,
            (Need::Granted(permission), Role::Employee) => self.granted.contains(&permission),
            (Need::Granted(scope), Role::Client) => {
                Permission::SCOPES.contains(&scope) && self.granted.contains(&scope)
            }
            (Need::Owner, Role::Employee | Role::Client) | (Need::Person, Role::Client) => false,
        }
    }

    /// Whether they may hand all of these on: nobody grants what they do not have.
    pub fn may_grant(&self, permissions: &[Permission]) -> bool {
        permissions.iter().all(|permission| self.meets(Need::Granted(*permission)))
    }

    /// All they may do in the account.
    pub fn held(&self) -> Vec<Permission> {
        Permission::ALL.iter().copied().filter(|permission| self.meets(Need::Granted(*permission))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(role: Role, granted: &[Permission]) -> Access {
        Access { role, granted: granted.to_vec(), verified: true }
    }

    #[test]
    fn the_table_is_what_it_says() {
        use Need::{Administrator, Anyone, Granted, Owner, Person};
        let inbox = Granted(Permission::Inbox);
        let needs = [Anyone, Person, inbox, Granted(Permission::Flows), Owner, Administrator];
        for (who, met) in [
            (access(Role::Admin, &[]), [true, true, true, true, true, true]),
            (access(Role::Owner, &[]), [true, true, true, true, true, false]),
            (access(Role::Employee, &[Permission::Inbox]), [true, true, true, false, false, false]),
            (access(Role::Client, &[Permission::Inbox]), [true, false, true, false, false, false]),
            (access(Role::Employee, &[]), [true, true, false, false, false, false]),
        ] {
            assert_eq!(needs.map(|need| who.meets(need)), met, "{who:?}");
        }
    }

    #[test]
    fn who_is_not_verified_may_do_nothing_but_be_signed_in() {
        for role in Role::ALL {
            let access = Access { role: *role, granted: Permission::ALL.to_vec(), verified: false };
            let needs = [Need::Person, Need::Owner, Need::Administrator, Need::Granted(Permission::Inbox)];
            assert!(access.meets(Need::Anyone) && !needs.into_iter().any(|need| access.meets(need)), "{role}");
            assert!(!access.may_grant(&[Permission::Inbox]));
        }
    }

    #[test]
    fn a_client_never_holds_what_is_no_scope() {
        for permission in [Permission::People, Permission::Settings] {
            assert!(!access(Role::Client, Permission::ALL).meets(Need::Granted(permission)));
        }
    }

    #[test]
    fn nobody_grants_what_they_do_not_have() {
        let employee = access(Role::Employee, &[Permission::People, Permission::Inbox]);
        assert!(
            employee.may_grant(&[Permission::Inbox]) && !employee.may_grant(&[Permission::Inbox, Permission::Flows])
        );
        assert!(access(Role::Owner, &[]).may_grant(Permission::ALL));
    }
}
