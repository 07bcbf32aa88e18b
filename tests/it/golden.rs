//! Every version of every event that was ever written has a golden file: it is read, brought to today's shape and
//! written in it. What was stored once can be read for ever.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use cqrs_es::DomainEvent;
use domain::appointment::event::AppointmentEvent;
use domain::conversation::event::ConversationEvent;
use domain::flow::event::FlowEvent;
use domain::lead::event::LeadEvent;
use domain::template::event::TemplateEvent;
use domain::template_group::event::TemplateGroupEvent;
use domain::upcast::upcast;
use serde_json::Value;

/// Stable tags with the version of their shape.
type Tags = [(&'static str, &'static str)];

fn folder(aggregate: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/events").join(aggregate)
}

/// Checks one aggregate's tags against its folder; every fault, not the first.
fn faults<E: DomainEvent>(aggregate: &str, tags: &Tags) -> Vec<String> {
    let mut faults = Vec::new();
    let mut wanted = BTreeSet::new();
    for (tag, current) in tags {
        let current: u32 = current.parse().expect("versions are numbers");
        for version in 1..=current {
            let name = tag.trim_start_matches(aggregate).trim_start_matches('.');
            wanted.insert(format!("{name}.v{version}.json"));
            faults.extend(fault::<E>(aggregate, tag, version, version == current).err());
        }
    }
    let files = std::fs::read_dir(folder(aggregate)).expect("a folder an aggregate");
    let there = files.map(|file| file.expect("a file").file_name().to_string_lossy().into_owned());
    faults.extend(
        there.filter(|file| !wanted.contains(file)).map(|file| format!("{aggregate}/{file} belongs to no event")),
    );
    faults
}

fn fault<E: DomainEvent>(aggregate: &str, tag: &str, version: u32, current: bool) -> Result<(), String> {
    let name = tag.strip_prefix(&format!("{aggregate}.")).ok_or(format!("{tag} does not begin with {aggregate}"))?;
    let path = folder(aggregate).join(format!("{name}.v{version}.json"));
    let text = std::fs::read_to_string(&path).map_err(|_| format!("{tag} has no golden file of version {version}"))?;
    let golden: Value = serde_json::from_str(&text).map_err(|error| format!("{tag}: {error}"))?;
    let today = upcast(tag, &version.to_string(), golden).map_err(|error| format!("{tag}: {error}"))?;
    let event: E = serde_json::from_value(today.clone()).map_err(|error| format!("{tag} cannot be read: {error}"))?;
    if event.event_type() != tag {
        return Err(format!("{tag} is read as {}", event.event_type()));
    }
    if current && event.event_version() != version.to_string() {
        return Err(format!("{tag} is written as version {}", event.event_version()));
    }
    match serde_json::to_value(&event) {
        Ok(again) if again == today => Ok(()),
        Ok(again) => Err(format!("{tag} is written as {again}")),
        Err(error) => Err(format!("{tag} cannot be written: {error}")),
    }
}

#[test]
fn every_version_of_every_event_is_read_as_its_golden_file_says() {
    let mut all = faults::<FlowEvent>("flow", FlowEvent::TAGS);
    all.extend(faults::<LeadEvent>("lead", LeadEvent::TAGS));
    all.extend(faults::<ConversationEvent>("conversation", ConversationEvent::TAGS));
    all.extend(faults::<TemplateEvent>("template", TemplateEvent::TAGS));
    all.extend(faults::<TemplateGroupEvent>("template_group", TemplateGroupEvent::TAGS));
    all.extend(faults::<AppointmentEvent>("appointment", AppointmentEvent::TAGS));
    assert!(all.is_empty(), "{all:#?}");
}

#[test]
fn a_tag_without_a_file_and_a_file_without_a_tag_are_found() {
    let told = faults::<LeadEvent>("lead", &[("lead.captured", "2"), ("lead.forgotten", "1")]);
    assert!(told.contains(&"lead.forgotten has no golden file of version 1".to_owned()), "{told:?}");
    assert!(told.contains(&"lead/tags_changed.v1.json belongs to no event".to_owned()), "{told:?}");
    let told = faults::<LeadEvent>("lead", &[("lead.captured", "3")]);
    assert!(told.contains(&"lead.captured has no golden file of version 3".to_owned()), "{told:?}");
}
