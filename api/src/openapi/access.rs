//! Says of every operation who may call it, as the operation's own argument says.

use domain::access::{Need, Permission};
use serde_json::{Value, json};

use crate::security::may::need;

/// Takes the rule out of the session schemes' names, and writes it down: `x-access` for programs, a sentence for people.
pub(super) fn describe(operation: &mut Value) {
    let mut rule = None;
    for scheme in operation.get_mut("security").and_then(Value::as_array_mut).into_iter().flatten() {
        let names: Vec<String> = scheme.as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect();
        for (scheme_name, word) in names.iter().filter_map(|name| name.split_once(':')) {
            *scheme = json!({ scheme_name: [] });
            rule = need(word).map(|need| (word.to_owned(), need));
        }
    }
    let schemes = operation["security"].as_array().map_or(0, Vec::len);
    let (access, words) = match &rule {
        // Where others than sessions are let in, the operation's own words say who.
        Some((word, need)) if schemes > 2 => {
            let mut access = table(word, *need);
            access["orOwnCredentials"] = json!(true);
            (access, None)
        }
        Some((word, need)) => (table(word, *need), Some(sentence(*need))),
        None if schemes > 0 => (json!({ "rule": "signature" }), None),
        None => (json!({ "rule": "public" }), Some("anybody, without signing in.".to_owned())),
    };
    operation["x-access"] = access;
    if let Some(words) = words {
        let description = operation["description"].as_str().unwrap_or_default();
        operation["description"] = Value::from(format!("{description}\n\n**Who may call:** {words}"));
    }
}

/// `true`, `false`, or the permission that is needed.
fn table(word: &str, need: Need) -> Value {
    let (owner, employee, client) = match need {
        Need::Anyone => (json!(true), json!(true), json!(true)),
        Need::Person => (json!(true), json!(true), json!(false)),
        Need::Owner => (json!(true), json!(false), json!(false)),
        Need::Administrator => (json!(false), json!(false), json!(false)),
        Need::Granted(permission) => {
            let scope = Permission::SCOPES.contains(&permission);
            (json!(true), json!(permission), if scope { json!(permission) } else { json!(false) })
        }
    };
    json!({ "rule": word, "administrator": true, "owner": owner, "employee": employee, "client": client })
}

fn sentence(need: Need) -> String {
    match need {
        Need::Anyone => "whoever is signed in, API clients included.".to_owned(),
        Need::Person => "whoever is signed in as a person; no API clients.".to_owned(),
        Need::Owner => "the account's owner.".to_owned(),
        Need::Administrator => "administrators.".to_owned(),
        Need::Granted(permission) if Permission::SCOPES.contains(&permission) => format!(
            "the account's owner, employees with the permission `{permission}`, API clients with the scope `{permission}`."
        ),
        Need::Granted(permission) => {
            format!("the account's owner, and employees with the permission `{permission}`; no API clients.")
        }
    }
}
