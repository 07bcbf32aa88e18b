//! Templates other people wrote: what Meta takes is taken here, and what Meta refuses is refused with the field.

use std::path::Path;

use serde_json::{Value, json};
use tests::app::TestApp;
use tests::templates::fields;

/// Definitions Meta takes: its own examples, and those of a library that is tested against it.
const TAKEN: [&str; 2] = ["__metaopenapi__", "__pywa__"];
/// Not among them: a change of one that is there; an example with its words cut out.
const OTHERS: [&str; 1] = ["create_edit_template"];

fn collected() -> Vec<(String, Value)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/fixtures/whatsapp_template_def");
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut all: Vec<(String, Value)> = entries
        .filter_map(|entry| {
            let body = serde_json::from_slice(&std::fs::read(entry.path()).ok()?).ok()?;
            Some((entry.file_name().to_string_lossy().into_owned(), body))
        })
        .collect();
    all.sort_by(|one, other| one.0.cmp(&other.0));
    all
}

/// The part of a definition a client of ours sends.
fn request(n: usize, definition: &Value) -> Value {
    json!({
        "name": format!("collected_{n}"),
        "language": definition["language"],
        "category": definition["category"],
        "components": definition["components"],
        "nonUtilityOverride": true,
        "nonUtilityOverrideReason": "collected",
    })
}

#[tokio::test]
async fn collected_definitions_are_judged_as_meta_judges_them() {
    let all = collected();
    if all.is_empty() {
        eprintln!("skipped: no collected definitions beside the project");
        return;
    }
    let app = TestApp::start().await;
    let dana = app.account("dana").await;
    dana.has_line().await;
    let mut wrong = Vec::new();
    for (n, (file, definition)) in all.iter().enumerate() {
        let answer = dana.post("/api/templates", &request(n, definition)).await;
        let should = TAKEN.iter().any(|it| file.contains(it)) && !OTHERS.iter().any(|it| file.starts_with(it));
        let is = answer.status.as_u16() == 201;
        if should && !is {
            wrong.push(format!("{file}: {}", answer.text));
        }
        if !is {
            assert!(answer.status.as_u16() == 400 && !fields(&answer).is_empty(), "{file}: {}", answer.text);
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
