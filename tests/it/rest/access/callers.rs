//! Everybody who calls.

use std::collections::HashMap;

use domain::access::Permission;
use reqwest::Method;
use serde_json::Value;
use tests::app::{Answer, SignedIn, TestApp};

use super::Operation;

/// Somebody with a session, and how they get another one.
pub struct Caller {
    /// Who they are, for messages.
    pub name: String,
    /// Whether the things of the test belong to another account than theirs.
    pub is_elsewhere: bool,
    /// Their session.
    pub session: SignedIn,
    again: Again,
}

enum Again {
    Person { username: String, password: &'static str },
    Client { credentials: Value },
}

impl Caller {
    fn person(name: &str, session: SignedIn, username: &str, password: &'static str) -> Self {
        let again = Again::Person { username: username.to_owned(), password };
        Self { name: name.to_owned(), is_elsewhere: false, session, again }
    }

    /// Calls the operation at this address.
    pub async fn calls(&self, operation: &Operation, address: &str, body: Option<&Value>) -> Answer {
        self.session.call(operation.method.clone(), address, body).await
    }

    /// Calls the operation with bytes of any kind.
    pub async fn sends(&self, operation: &Operation, address: &str, kind: &str, body: &str) -> Answer {
        self.session.sends(operation.method.clone(), address, kind, body).await
    }

    /// Signs in again when the operation ended the session, as signing out does.
    pub async fn is_signed_in_again(&mut self, app: &TestApp, operation: &Operation) {
        if operation.method == Method::GET || self.session.get("/api/auth/me").await.status.is_success() {
            return;
        }
        self.session = match &self.again {
            Again::Person { username, password } => app.sign_in(username, password).await,
            Again::Client { credentials } => app.client_with(credentials).await,
        };
    }
}

/// Everybody.
pub struct Cast {
    /// Owns the account the things belong to.
    pub owner: Caller,
    /// Owns another one.
    pub stranger: Caller,
    /// Administers the installation.
    pub administrator: Caller,
    employees: Pairs,
    clients: Pairs,
}

/// Somebody without anything granted, and somebody for each thing that can be; under no word, one with everything.
struct Pairs {
    without: Caller,
    with: HashMap<String, Caller>,
}

impl Pairs {
    /// Those a cell of `x-access` is tried with: whom nothing was granted, and who holds what it asks for and no more.
    fn for_cell(&mut self, cell: &Value) -> (&mut Caller, &mut Caller) {
        let word = cell.as_str().unwrap_or_default();
        let with = self.with.get_mut(word).unwrap_or_else(|| panic!("nobody holds `{word}`"));
        (&mut self.without, with)
    }
}

impl Cast {
    /// Signs everybody up.
    pub async fn of(app: &TestApp) -> Self {
        let owner = app.account("owner").await;
        let everything: Vec<&str> = Permission::ALL.iter().map(|it| it.as_str()).collect();
        let employee = async |name: &str, granted: &[&str]| {
            let session = app.employee(&owner, name, granted).await;
            Caller::person(&format!("an employee with {granted:?}"), session, name, "correct horse")
        };
        let mut employees = Pairs { without: employee("none", &[]).await, with: HashMap::new() };
        for granted in &everything {
            employees.with.insert((*granted).to_owned(), employee(granted, &[granted]).await);
        }
        employees.with.insert(String::new(), employee("everything", &everything).await);
        let mut clients = Pairs { without: client(app, "c-none", &[]).await, with: HashMap::new() };
        for scope in Permission::SCOPES.iter().map(|it| it.as_str()) {
            clients.with.insert(scope.to_owned(), client(app, &format!("c-{scope}"), &[scope]).await);
        }
        clients.with.insert(String::new(), client(app, "c-everything", &everything).await);
        let stranger = app.account("stranger").await;
        Self {
            stranger: Caller::person("the owner of another account", stranger, "stranger", "correct horse"),
            administrator: Caller::person("the administrator", app.admin().await, "admin", "admin-password"),
            owner: Caller::person("the owner", owner, "owner", "correct horse"),
            employees,
            clients,
        }
    }

    /// An employee without anything, and one with exactly what the cell asks for.
    pub fn employees(&mut self, cell: &Value) -> (&mut Caller, &mut Caller) {
        self.employees.for_cell(cell)
    }

    /// An API client without anything, and one with exactly what the cell asks for.
    pub fn clients(&mut self, cell: &Value) -> (&mut Caller, &mut Caller) {
        self.clients.for_cell(cell)
    }
}

/// The API client of an account of its own: an account has one.
async fn client(app: &TestApp, account: &str, scopes: &[&str]) -> Caller {
    let owner = app.account(account).await;
    let credentials = app.api_credentials(&owner, scopes).await;
    let session = app.client_with(&credentials).await;
    let name = format!("an API client with {scopes:?}");
    Caller { name, is_elsewhere: true, session, again: Again::Client { credentials } }
}
