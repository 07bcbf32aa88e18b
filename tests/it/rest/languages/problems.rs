//! What is wrong with a template, a flow or a request, in the language of whoever reads it: the words change, what they
//! name does not.

use std::ops::RangeInclusive;

use reqwest::Method;
use serde_json::{Value, json};
use tests::app::{Answer, SignedIn, TestApp};
use tests::flows::drawflow;

use crate::rest::refused;

/// The languages besides English, with letters of their own.
const OTHERS: [(&str, RangeInclusive<char>); 3] = [("he", 'א'..='ת'), ("ar", 'ء'..='ي'), ("ru", 'А'..='я')];

/// The same request in a language.
async fn ask(who: &SignedIn, language: &str, method: Method, path: &str, body: Option<&Value>) -> Answer {
    let answer = who.call_with(method, path, body, &[("accept-language", language)]).await;
    refused(&answer, 400, "invalid_request");
    assert_eq!(answer.header("content-language"), Some(language));
    answer
}

fn problems(body: &Value) -> &[Value] {
    body["problems"].as_array().map(Vec::as_slice).unwrap_or_default()
}

/// Where a problem is, which it is and what it names: the same in every language.
fn facts(problem: &Value) -> [&Value; 4] {
    ["nodeId", "field", "code", "values"].map(|name| &problem[name])
}

/// `field: reason` of every problem.
fn words(problems: &[Value]) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    problems.iter().map(|it| format!("{}: {}", text(&it["field"]), text(&it["reason"]))).collect()
}

/// The same problems in a language with these letters, naming the same things.
#[track_caller]
fn same(english: &[Value], other: &[Value], language: &str, letters: &RangeInclusive<char>) {
    assert_eq!(other.len(), english.len(), "{other:#?}");
    for (one, two) in english.iter().zip(other) {
        assert_eq!(facts(one), facts(two), "{language}");
        let reason = two["reason"].as_str().unwrap_or_default();
        assert!(reason.chars().any(|c| letters.contains(&c)), "{language} for `{}`: {reason}", two["code"]);
        for (name, value) in two["values"].as_object().into_iter().flatten() {
            let value = value.as_str().unwrap_or_default();
            assert!(reason.contains(value), "{language} does not say {name} = {value}: {reason}");
        }
    }
}

/// Asks in every language; the answer in English.
async fn in_every_language(who: &SignedIn, method: Method, path: &str, body: Option<&Value>) -> Vec<Value> {
    let english = ask(who, "en", method.clone(), path, body).await;
    let english = problems(&english.body).to_vec();
    assert!(!english.is_empty() && english.iter().all(|it| it["code"] != ""), "{english:#?}");
    for (language, letters) in OTHERS {
        let other = ask(who, language, method.clone(), path, body).await;
        same(&english, problems(&other.body), language, &letters);
    }
    english
}

#[tokio::test]
async fn a_bad_template_is_told_in_every_language() {
    let app = TestApp::start().await;
    let dana = app.account("dana").await;
    dana.has_line().await;
    let wrong = json!({
        "name": "Salon Yofi!", "language": "hebrew", "category": "MARKETING", "targetGroupName": " ",
        "components": [
            { "type": "HEADER", "format": "IMAGE" },
            { "type": "BODY", "text": "{{1}}{{3}} and" },
            { "type": "FOOTER", "text": "x".repeat(61) },
            { "type": "BUTTONS", "buttons": [
                { "type": "QUICK_REPLY", "text": "yes" },
                { "type": "URL", "text": "Open", "url": "https://x.example/{{1}}" },
                { "type": "QUICK_REPLY", "text": "x".repeat(26) }] },
            { "type": "SIDEBAR" }
        ]
    });
    let told = in_every_language(&dana, Method::POST, "/api/templates", Some(&wrong)).await;
    let words = words(&told);
    for expected in [
        "name: is 1 to 512 of a-z, 0-9 and `_`",
        "nonUtilityOverride: MARKETING needs `nonUtilityOverride: true`",
        "components[1].text: has placeholders numbered from {{1}} on, without a gap",
        "components[2].text: has at most 60 characters",
        "components[3].buttons: has its quick replies side by side, before or after all others",
    ] {
        assert!(words.iter().any(|it| it == expected), "{expected}: {words:#?}");
    }
    let codes = json!({ "name": "codes", "language": "he", "category": "AUTHENTICATION", "nonUtilityOverride": true,
        "nonUtilityOverrideReason": "sign-in", "components": [
            { "type": "HEADER", "format": "TEXT", "text": "Hi" }, { "type": "BODY", "text": "{{ 1", "example": {} },
            { "type": "FOOTER", "code_expiration_minutes": 91 },
            { "type": "BUTTONS", "buttons": [{ "type": "OTP", "otp_type": "ZERO_TAP" }, { "type": "URL" }] }] });
    assert!(in_every_language(&dana, Method::POST, "/api/templates", Some(&codes)).await.len() >= 6);
    let batch = json!({ "intervalMs": 2000, "templates": [wrong] });
    let path = "/api/templates/controlled-batch";
    assert_eq!(in_every_language(&dana, Method::POST, path, Some(&batch)).await.len(), told.len());
}

#[tokio::test]
async fn a_bad_flow_is_told_in_every_language() {
    let app = TestApp::start().await;
    let dana = app.account("dana").await;
    let graph = drawflow(&[
        ("1", "trigger_message", json!({ "keywords": ["["], "match": "regex" }), &["2"]),
        ("2", "send_text", json!({ "text": "{{ open" }), &["3"]),
        (
            "3",
            "send_buttons",
            json!({ "body": "x".repeat(1_025), "buttons": [{ "id": "a", "title": "A" },
            { "id": "a", "title": "B" }, { "id": "c", "title": "C" }, { "id": "d", "title": "D" }] }),
            &["5"],
        ),
        ("4", "goto", json!({ "nodeId": "99" }), &[]),
        ("5", "send_text", json!({ "text": "again" }), &["5"]),
        ("6", "delay", json!({}), &[]),
        ("7", "send_text", json!({ "text": 7 }), &[]),
    ]);
    let flow = json!({ "name": "Broken", "status": "active", "drawflowData": graph });
    let told = words(&in_every_language(&dana, Method::POST, "/api/flows", Some(&flow)).await);
    for expected in [
        "body: has at most 1024 characters",
        "buttons[1].id: `a` is used twice",
        "nodeId: node `99` does not exist",
        ": a cycle never waits: 5 → 5",
    ] {
        assert!(told.iter().any(|it| it == expected), "{expected}: {told:#?}");
    }

    // What is odd about a flow that runs, too, in the language a person chose.
    let odd = drawflow(&[
        ("1", "trigger_message", json!({}), &["2"]),
        ("2", "send_text", json!({ "text": "hi" }), &[]),
        ("3", "send_text", json!({ "text": "nobody comes here" }), &[]),
        ("4", "crystal_ball", json!({}), &[]),
    ]);
    let made = dana.post("/api/flows", &json!({ "name": "Odd", "status": "active", "drawflowData": odd })).await.ok();
    let english = made["warnings"].as_array().expect("warnings").clone();
    assert_eq!(english.iter().filter(|it| it["code"] == "unreachable").count(), 2, "{english:#?}");
    let path = format!("/api/flows/{}", made["id"].as_str().expect("an id"));
    for (language, letters) in OTHERS {
        dana.post("/api/auth/language", &json!({ "language": language })).await.ok();
        let shown = dana.get(&path).await.ok();
        same(&english, shown["warnings"].as_array().expect("warnings"), language, &letters);
        assert_eq!(shown["drawflowData"], odd, "what somebody wrote is nobody's to translate");
        let renamed = dana.put(&path, &json!({ "name": language })).await.ok();
        assert_eq!(renamed["warnings"], shown["warnings"]);
    }
}

#[tokio::test]
async fn a_bad_request_is_told_in_every_language() {
    let app = TestApp::start().await;
    let dana = app.account("dana").await;
    let wrong = json!({ "colour": 1, "name": 7, "status": "lost", "drawflowData": {} });
    let told = words(&in_every_language(&dana, Method::POST, "/api/flows", Some(&wrong)).await);
    let expected =
        ["colour: is no field of this request", "name: must be a text", "status: is one of draft, active, paused"];
    assert_eq!(told, expected);
    let none = words(&in_every_language(&dana, Method::POST, "/api/leads", Some(&json!([]))).await);
    assert_eq!(none, [": must be an object"]);
    let long = words(&in_every_language(&dana, Method::GET, "/api/flows?limit=201", None).await);
    assert_eq!(long, ["limit: must be at most 200"]);
    let many = words(&in_every_language(&dana, Method::GET, "/api/flows?limit=many", None).await);
    assert!(many[0].starts_with("limit: "), "{many:?}");
    let group =
        json!({ "name": "Codes", "preferredPhoneNumberId": "404", "templates": [{ "name": "x", "language": "he" }] });
    let group = in_every_language(&dana, Method::POST, "/api/templates/groups", Some(&group)).await;
    assert!(group.iter().any(|it| it["code"] == "no_such_line"), "{group:#?}");
}

#[tokio::test]
async fn what_is_wrong_with_people_and_what_they_do_is_told_in_every_language() {
    let app = TestApp::start().await;
    let dana = app.account("dana").await;
    let own = format!("/api/users/{}", dana.id);
    let employee = json!({ "username": "a b", "password": "correct horse", "displayName": "A", "email": "a@b.c" });
    for (method, path, body, words_in_english) in [
        (Method::POST, "/api/employees", Some(&employee), "username: has 3 to 100 characters and no spaces"),
        (Method::PUT, &own, Some(&json!({ "password": "short" })), "password: has 8 to 200 characters"),
        (Method::PUT, &own, Some(&json!({ "email": "nobody" })), "email: `nobody` is not an e-mail address"),
        (
            Method::PUT,
            &own,
            Some(&json!({ "timezone": "Mars/Base" })),
            "timezone: is an IANA name such as Asia/Jerusalem",
        ),
        (Method::POST, "/api/tasks", Some(&json!({ "title": "  " })), "title: has 1 to 200 characters"),
        (
            Method::POST,
            "/api/leads",
            Some(&json!({ "phone": "+972501234567", "email": "x" })),
            "email: `x` is not an e-mail address",
        ),
        (Method::POST, "/api/flows", Some(&json!({ "name": " " })), "name: has 1 to 200 characters"),
        (Method::GET, "/api/flows?cursor=none", None, "cursor: is none of ours"),
    ] {
        let told = words(&in_every_language(&dana, method, path, body).await);
        assert_eq!(told, [words_in_english], "{path}");
    }
}
