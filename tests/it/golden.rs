//! Every event this build writes has a golden file, and every golden file is read and written as it is: what
//! was stored once can be read for ever.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use cqrs_es::DomainEvent;
use domain::conversation::event::ConversationEvent;
use domain::flow::event::FlowEvent;
use domain::lead::event::LeadEvent;
use serde_json::Value;

fn folder(aggregate: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/events").join(aggregate)
}

/// Checks one aggregate's tags against its folder; every fault, not the first.
fn faults<E: DomainEvent>(aggregate: &str, tags: &[&str]) -> Vec<String> {
    let mut faults: Vec<String> = tags.iter().filter_map(|tag| fault::<E>(aggregate, tag).err()).collect();
    let name = |tag: &&str| format!("{}.v1.json", tag.trim_start_matches(aggregate).trim_start_matches('.'));
    let wanted: BTreeSet<String> = tags.iter().map(name).collect();
    let files = std::fs::read_dir(folder(aggregate)).expect("a folder an aggregate");
    let there = files.map(|file| file.expect("a file").file_name().to_string_lossy().into_owned());
    faults.extend(
        there.filter(|file| !wanted.contains(file)).map(|file| format!("{aggregate}/{file} belongs to no event")),
    );
    faults
}

fn fault<E: DomainEvent>(aggregate: &str, tag: &str) -> Result<(), String> {
    let name = tag.strip_prefix(&format!("{aggregate}.")).ok_or(format!("{tag} does not begin with {aggregate}"))?;
    let path = folder(aggregate).join(format!("{name}.v1.json"));
    let text = std::fs::read_to_string(&path).map_err(|_| format!("{tag} has no golden file"))?;
    let golden: Value = serde_json::from_str(&text).map_err(|error| format!("{tag}: {error}"))?;
    let event: E = serde_json::from_value(golden.clone()).map_err(|error| format!("{tag} cannot be read: {error}"))?;
    if event.event_type() != tag {
        return Err(format!("{tag} is read as {}", event.event_type()));
    }
    match serde_json::to_value(&event) {
        Ok(again) if again == golden => Ok(()),
        Ok(again) => Err(format!("{tag} is written as {again}")),
        Err(error) => Err(format!("{tag} cannot be written: {error}")),
    }
}

#[test]
fn every_event_is_read_and_written_as_its_golden_file_says() {
    let mut all = faults::<FlowEvent>("flow", FlowEvent::TAGS);
    all.extend(faults::<LeadEvent>("lead", LeadEvent::TAGS));
    all.extend(faults::<ConversationEvent>("conversation", ConversationEvent::TAGS));
    assert!(all.is_empty(), "{all:#?}");
}

#[test]
fn a_tag_without_a_file_and_a_file_without_a_tag_are_found() {
    let told = faults::<LeadEvent>("lead", &["lead.captured", "lead.forgotten"]);
    assert!(told.contains(&"lead.forgotten has no golden file".to_owned()), "{told:?}");
    assert!(told.contains(&"lead/tags_changed.v1.json belongs to no event".to_owned()), "{told:?}");
}
