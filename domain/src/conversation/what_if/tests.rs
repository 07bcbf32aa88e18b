//! Runs on graphs they did not run on.

use serde_json::{Value, json};

use crate::conversation::command::PublishedFlow;
use crate::conversation::what_if::faithful::{World, flow};
use crate::conversation::what_if::{Comparison, Cue, Unit, Wanted};
use crate::flow::drawflow;
use crate::flow::run::Outcome;
use crate::shared::content::OutboundContent;
use crate::shared::inbound::InboundKind;

/// A flow of these nodes: key, kind, data, and where its exits lead.
fn of(nodes: &[(&str, &str, Value, &[&str])]) -> PublishedFlow {
    let node = |(key, kind, data, targets): &(&str, &str, Value, &[&str])| {
        let output = |(port, to): (usize, &&str)| {
            let to = if to.is_empty() { json!([]) } else { json!([{"node": to, "output": "input_1"}]) };
            (format!("output_{}", port + 1), json!({"connections": to}))
        };
        let outputs: serde_json::Map<String, Value> = targets.iter().enumerate().map(output).collect();
        ((*key).to_owned(), json!({"id": key, "name": kind, "data": data, "inputs": {}, "outputs": outputs}))
    };
    let data: serde_json::Map<String, Value> = nodes.iter().map(node).collect();
    let read = drawflow::read(&json!({"drawflow": {"Home": {"data": data}}})).expect("a graph");
    flow(1, 14 * 86_400, read.graph)
}

/// Asks how many, waits so long for it, and says one thing or the other.
fn asking(question: &str, timeout_sec: u32, [answered, invalid, timeout]: [&str; 3]) -> PublishedFlow {
    let ask = json!({"text": question, "saveAs": "n", "expect": "number", "maxRetries": 0, "timeoutSec": timeout_sec});
    of(&[
        ("1", "trigger_message", json!({}), &["2"]),
        ("2", "ask", ask, &[answered, invalid, timeout]),
        ("3", "send_text", json!({"text": "{{ n }} it is"}), &[]),
        ("4", "send_text", json!({"text": "never mind"}), &[]),
        ("5", "send_text", json!({"text": "too late"}), &["4"]),
    ])
}

fn plain() -> PublishedFlow {
    asking("How many?", 60, ["3", "4", "5"])
}

/// The first run, which the customer answered after so many seconds, on another flow.
fn answered(after: i64, candidate: &PublishedFlow) -> Comparison {
    let mut world = World::new(plain());
    world.says(InboundKind::Text, "hi", None);
    world.rests(after);
    world.says(InboundKind::Text, "7", None);
    first(&world, candidate)
}

fn first(world: &World, candidate: &PublishedFlow) -> Comparison {
    let (place, _) = world.runs().next().expect("a run");
    world.replay(place, candidate)
}

fn said(wanted: &[Wanted]) -> Vec<&str> {
    let text = |wanted: &'_ Wanted| match &wanted.content {
        OutboundContent::Text { text, .. } => text.clone(),
        other => other.kind().to_owned(),
    };
    wanted.iter().map(|it| &*Box::leak(text(it).into_boxed_str())).collect()
}

fn nodes(unit: Option<&Unit>) -> Vec<&str> {
    unit.map(|unit| unit.path.iter().map(|visit| visit.node.0.as_str()).collect()).unwrap_or_default()
}

#[test]
fn other_words_on_the_same_path() {
    let result = answered(5, &asking("How many, please?", 60, ["3", "4", "5"]));
    assert_eq!((result.divergence, result.added, result.removed), (None, vec![], vec![]));
    let [change] = &result.changed[..] else { panic!("{:?}", result.changed) };
    assert_eq!(said(&[change.before.clone(), change.after.clone()]), ["How many?", "How many, please?"]);
}

#[test]
fn a_rerouted_exit_diverges_where_it_is_taken() {
    let result = answered(5, &asking("How many?", 60, ["5", "4", "5"]));
    let parting = result.divergence.expect("it diverges");
    assert_eq!((parting.unit, parting.recorded.as_ref().map(|it| it.cue)), (1, Some(Cue::Reply)));
    assert_eq!(nodes(parting.recorded.as_ref()), ["2", "3"]);
    assert_eq!(nodes(parting.replayed.as_ref()), ["2", "5", "4"]);
    assert_eq!((said(&result.added), result.changed.len()), (vec!["never mind"], 1), "7 it is → too late");
}

#[test]
fn a_shorter_wait_is_over_before_the_answer_comes() {
    let result = answered(30, &asking("How many?", 20, ["3", "4", "5"]));
    let parting = result.divergence.expect("it diverges");
    assert_eq!((parting.unit, parting.recorded), (1, None));
    let timed_out = parting.replayed.expect("the replay moved");
    assert_eq!((timed_out.cue, timed_out.outcome), (Cue::Timeout, Some(Outcome::Completed)));
    assert_eq!((said(&result.added), said(&result.removed)), (vec!["too late", "never mind"], vec!["7 it is"]));
    assert_eq!(answered(30, &asking("How many?", 40, ["3", "4", "5"])), Comparison::default());
}

#[test]
fn waits_that_both_run_out_are_the_same_path() {
    let mut world = World::new(plain());
    world.says(InboundKind::Text, "hi", None);
    world.timer(true, 3);
    let longer = asking("How many?", 90, ["3", "4", "5"]);
    let parting = first(&world, &longer).divergence.expect("its time is not up yet");
    assert_eq!((parting.unit, parting.replayed), (1, None));
    world.rests(40);
    for timeout in [20, 60, 90] {
        let candidate = asking("How many?", timeout, ["3", "4", "5"]);
        assert_eq!(first(&world, &candidate), Comparison::default(), "{timeout}");
    }
    world.says(InboundKind::Text, "7", None);
    world.rests(1000);
    assert_eq!(first(&world, &longer), Comparison::default(), "its time was up before the customer wrote again");
    let far_longer = asking("How many?", 300, ["3", "4", "5"]);
    assert_eq!(said(&first(&world, &far_longer).removed), ["too late", "never mind"]);
}

#[test]
fn a_late_word_after_the_end_is_said_if_nobody_speaks_before() {
    let later = |seconds: u32| {
        of(&[
            ("1", "trigger_message", json!({}), &["2"]),
            ("2", "send_text", json!({"text": "bye"}), &["3"]),
            ("3", "delay", json!({"seconds": seconds}), &["4"]),
            ("4", "send_text", json!({"text": "still there?"}), &[]),
        ])
    };
    let short = of(&[("1", "trigger_message", json!({}), &["2"]), ("2", "send_text", json!({"text": "bye"}), &[])]);
    let mut world = World::new(short);
    world.says(InboundKind::Text, "hi", None);
    world.rests(100);
    world.happens((8, 10));
    world.says(InboundKind::Text, "hi again", None);
    assert_eq!(said(&first(&world, &later(50)).added), ["still there?"]);
    assert!(first(&world, &later(150)).added.is_empty());
}

#[test]
fn the_replay_ends_where_the_record_does() {
    let more = of(&[
        ("1", "trigger_message", json!({}), &["2"]),
        ("2", "ask", json!({"text": "How many?", "expect": "number", "saveAs": "n"}), &["3", "3", "3"]),
        ("3", "send_text", json!({"text": "{{ n }} it is"}), &["6"]),
        ("6", "ask", json!({"text": "Anything else?"}), &["", "", ""]),
    ]);
    let result = answered(5, &more);
    let parting = result.divergence.expect("it goes on");
    assert_eq!(
        (nodes(parting.recorded.as_ref()), nodes(parting.replayed.as_ref())),
        (vec!["2", "3"], vec!["2", "3", "6"])
    );
    assert_eq!(parting.replayed.and_then(|it| it.outcome), None, "it waits");
    assert_eq!(said(&result.added), ["Anything else?"]);
}

#[test]
fn a_run_that_would_not_start_loses_all_it_said() {
    let other_trigger = of(&[("1", "trigger_api", json!({"auth": {"mode": "none"}}), &[])]);
    let other_word = of(&[("1", "trigger_message", json!({"keywords": ["price"]}), &[])]);
    for candidate in [other_trigger, other_word] {
        let result = answered(5, &candidate);
        let parting = result.divergence.expect("it does not start");
        assert_eq!((parting.unit, parting.replayed), (0, None));
        assert_eq!(said(&result.removed), ["How many?", "7 it is"]);
    }
}

#[test]
fn a_trigger_under_another_key_is_found() {
    let moved = of(&[("9", "trigger_message", json!({}), &["2"]), ("2", "send_text", json!({"text": "hi"}), &[])]);
    let result = answered(5, &moved);
    let parting = result.divergence.expect("it takes another path");
    assert_eq!(nodes(parting.replayed.as_ref()), ["9", "2"]);
    assert_eq!((said(&result.removed), result.changed.len()), (vec!["7 it is"], 1));
}

#[test]
fn news_of_a_template_is_news_of_its_counterpart() {
    let sending = |words: &str| {
        let template = json!({"templateName": "order", "language": "en", "params": [words]});
        of(&[
            ("1", "trigger_message", json!({}), &["2"]),
            ("2", "send_template", template, &["3", "4"]),
            ("3", "send_text", json!({"text": "sent"}), &[]),
            ("4", "send_text", json!({"text": "not sent"}), &[]),
        ])
    };
    let mut world = World::new(sending("one"));
    world.says(InboundKind::Text, "hi", None);
    world.happens((7, 10));
    let result = first(&world, &sending("two"));
    assert_eq!((result.divergence, result.changed.len()), (None, 1), "the params changed, the path did not");
    assert!(world.log.iter().any(|event| format!("{event:?}").contains("\"sent\"")), "the record went on");
}
