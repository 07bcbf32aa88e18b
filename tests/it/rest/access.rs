//! Every operation of the document, called by everybody: the answer is what its `x-access` promises.

mod callers;

use reqwest::Method;
use serde_json::{Value, json};
use tests::app::{Answer, TestApp};
use uuid::Uuid;

use super::document::{Document, Operation};
use super::tenants::Things;
use callers::{Caller, Cast};

/// Whether who calls may, by the operation's word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Promise {
    /// Anything but 401 and 403.
    Let,
    /// 403, whatever else is wrong with the request.
    Refused,
}

impl Promise {
    /// What a cell of `x-access` promises somebody who holds the permission it names, or does not.
    fn of(cell: &Value, holds: bool) -> Self {
        let word = cell.as_str();
        assert!(cell.is_boolean() || word.is_some(), "a cell is true, false or a permission: {cell}");
        if cell == &json!(true) || (word.is_some() && holds) { Self::Let } else { Self::Refused }
    }
}

#[tokio::test]
async fn every_operation_lets_in_whom_the_document_says() {
    let app = TestApp::start().await;
    let document = Document::of(&app).await;
    let mut cast = Cast::of(&app).await;
    let things = Things::of(&app, &cast.owner.session).await;
    let mut asked = 0;
    // Before the stranger has anything that is called the same: phones are nobody's own.
    for operation in document.operations().iter().filter(|it| is_named(it, &things)) {
        stranger(&app, &mut cast.stranger, operation, &things).await;
    }
    for operation in document.operations() {
        let access = operation.said["x-access"].clone();
        let rule = access["rule"].as_str().unwrap_or_else(|| panic!("`{}` does not say who may call", operation.id));
        anonymous(&app, &operation, rule, &things).await;
        asked += 1;
        if ["public", "signature"].contains(&rule) {
            continue;
        }
        let (employee, client) = (access["employee"].clone(), access["client"].clone());
        let (none, exact) = cast.employees(&employee);
        check(&app, none, &operation, &things, Promise::of(&employee, false)).await;
        check(&app, exact, &operation, &things, Promise::of(&employee, true)).await;
        let (none, exact) = cast.clients(&client);
        check(&app, none, &operation, &things, Promise::of(&client, false)).await;
        check(&app, exact, &operation, &things, Promise::of(&client, true)).await;
        check(&app, &mut cast.owner, &operation, &things, Promise::of(&access["owner"], true)).await;
        check(&app, &mut cast.administrator, &operation, &things, Promise::of(&access["administrator"], true)).await;
    }
    assert!(asked >= 45, "{asked}");
}

/// Addresses of the operation: with ids of the account, with ids of nobody's, and with parameters that are none.
struct Addresses {
    own: String,
    nobodys: String,
    malformed: Vec<String>,
}

impl Addresses {
    fn of(operation: &Operation, things: &Things) -> Self {
        let replaced = |with: &str| {
            let parts = operation.path.split('/').map(|part| if part.starts_with('{') { with } else { part });
            parts.collect::<Vec<_>>().join("/")
        };
        let (own, nobodys) =
            things.paths(&operation.path).unwrap_or_else(|| (replaced("x"), replaced(&Uuid::new_v4().to_string())));
        let malformed = vec![format!("{}?limit=0&at=x&cursor=%FF", own), replaced("no%20id")];
        Self { own, nobodys, malformed }
    }
}

/// The answer has a status the document knows.
#[track_caller]
fn declared(operation: &Operation, who: &str, answer: &Answer) {
    let status = answer.status.as_u16();
    assert!(operation.declares(status), "`{}` does not declare the {status} {who} got: {}", operation.id, answer.text);
}

async fn anonymous(app: &TestApp, operation: &Operation, rule: &str, things: &Things) {
    let addresses = Addresses::of(operation, things);
    for (address, body) in [(&addresses.nobodys, operation.sample()), (&addresses.own, Some(json!({ "no": "field" })))]
    {
        let answer = app.call(operation.method.clone(), address, body.as_ref(), &[]).await;
        declared(operation, "nobody", &answer);
        if rule != "public" {
            assert_eq!(answer.status.as_u16(), 401, "`{}` without credentials: {}", operation.id, answer.text);
        }
    }
}

async fn check(app: &TestApp, caller: &mut Caller, operation: &Operation, things: &Things, promise: Promise) {
    let addresses = Addresses::of(operation, things);
    match promise {
        Promise::Let => {
            let answer = caller.calls(operation, &addresses.nobodys, operation.sample().as_ref()).await;
            declared(operation, &caller.name, &answer);
            assert!(
                ![401, 403].contains(&answer.status.as_u16()),
                "{} may call `{}` by its x-access, and got {}. Where it is the sample that is refused, give the \
                 operation another one in tests/it/rest/document.rs",
                caller.name,
                operation.id,
                answer.text
            );
        }
        Promise::Refused => {
            let own_credentials = operation.said["x-access"]["orOwnCredentials"] == true;
            // A flow's own credentials are looked for where the flow is known, and an id has to be one for that.
            let (own, malformed) = if own_credentials && caller.is_elsewhere {
                (&addresses.nobodys, &[][..])
            } else if own_credentials {
                (&addresses.own, &[][..])
            } else {
                (&addresses.own, &addresses.malformed[..])
            };
            let refusal = if own_credentials && caller.is_elsewhere { 404 } else { 403 };
            let sample = operation.sample();
            let mut answers = vec![caller.calls(operation, own, sample.as_ref()).await];
            for address in malformed {
                answers.push(caller.calls(operation, address, sample.as_ref()).await);
            }
            if sample.is_some() {
                answers.push(caller.calls(operation, own, Some(&json!({ "no": "field" }))).await);
                answers.push(caller.sends(operation, own, "application/json", "{").await);
                answers.push(caller.sends(operation, own, "text/plain", "{}").await);
            }
            for answer in answers {
                declared(operation, &caller.name, &answer);
                let (status, name) = (answer.status.as_u16(), &caller.name);
                assert_eq!(status, refusal, "{name} may not call `{}`: {}", operation.id, answer.text);
            }
        }
    }
    caller.is_signed_in_again(app, operation).await;
}

/// Whether the operation's path names a thing of an account, and somebody has to be signed in for it.
fn is_named(operation: &Operation, things: &Things) -> bool {
    let rule = operation.said["x-access"]["rule"].as_str().unwrap_or_default();
    !["public", "signature"].contains(&rule) && operation.path.contains('{') && things.paths(&operation.path).is_some()
}

/// The owner of another account finds nothing of this one.
async fn stranger(app: &TestApp, caller: &mut Caller, operation: &Operation, things: &Things) {
    let promise = Promise::of(&operation.said["x-access"]["owner"], true);
    let addresses = Addresses::of(operation, things);
    let answer = caller.calls(operation, &addresses.own, operation.sample().as_ref()).await;
    declared(operation, &caller.name, &answer);
    let expected = if promise == Promise::Let { 404 } else { 403 };
    assert_eq!(answer.status.as_u16(), expected, "`{}` by a stranger: {}", operation.id, answer.text);
    caller.is_signed_in_again(app, operation).await;
}

#[tokio::test]
async fn an_employee_does_what_was_granted_alone() {
    let app = TestApp::start().await;
    let dana = app.account("dana").await;
    let employee = app.employee(&dana, "eli", &["leads"]).await;
    employee.get("/api/leads").await.ok();
    super::refused(&employee.get("/api/flows").await, 403, "forbidden");
    assert_eq!(employee.call(Method::GET, "/api/auth/me", None).await.ok()["user"]["role"], "employee");
}
