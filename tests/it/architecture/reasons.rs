//! Every reason a problem can have is known to every language, with the same places: whoever adds one is told to
//! translate it.

use std::collections::{BTreeMap, BTreeSet};

use api::language::{reason, reasons};
use domain::shared::preferences::Language;

use super::files::{Source, sources};

/// A reason as the sources have it: its words in English, and the values it is given.
type Told = (String, BTreeSet<String>);

/// A literal at the beginning of a text, and what comes after it and its comma.
fn literal(text: &str) -> Option<(String, &str)> {
    let text = text.trim_start().strip_prefix('"')?;
    let mut escaped = false;
    let end = text.find(|c: char| {
        let ends = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        ends
    })?;
    let rest = text[end + 1..].trim_start();
    Some((text[..end].replace("\\\"", "\""), rest.strip_prefix(',').unwrap_or(rest)))
}

/// The names of a call's other arguments, up to the bracket that closes it.
fn names(text: &str) -> BTreeSet<String> {
    let (mut depth, mut arguments) = (0, vec![String::new()]);
    for c in text.chars() {
        match c {
            ')' if depth == 0 => break,
            ',' if depth == 0 => arguments.push(String::new()),
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth -= 1,
            _ => {}
        }
        if let Some(last) = arguments.last_mut().filter(|_| c != ',' || depth > 0) {
            last.push(c);
        }
    }
    let name = |argument: &String| argument.split('=').next().unwrap_or_default().trim().to_owned();
    // What is left of a literal with a comma in it is no name.
    arguments.iter().map(name).filter(|name| is_name(name)).collect()
}

/// The places of words: what stands in braces and looks like a name.
fn places(words: &str) -> BTreeSet<String> {
    let named = |part: &str| part.split_once('}').map(|(name, _)| name.to_owned());
    words.split('{').skip(1).filter_map(named).filter(|name| is_name(name)).collect()
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_lowercase() || c == '_')
}

/// The reasons of a file, its tests left out.
fn told(source: &Source) -> Vec<(String, Told)> {
    let text = source.text.split("#[cfg(test)]").next().unwrap_or_default();
    let calls = text.split("reason!(").skip(1);
    let told = calls.filter_map(|call| {
        let (code, rest) = literal(call)?;
        let (words, rest) = literal(rest)?;
        Some((code, (words, names(rest))))
    });
    told.collect()
}

fn rooms() -> impl Iterator<Item = Source> {
    let all = ["domain", "application", "infrastructure", "api"].into_iter().flat_map(sources);
    // What the macro and its neighbours say of themselves is no reason.
    all.filter(|it| !it.path.contains("tests") && !it.path.ends_with("shared/reason.rs"))
}

#[test]
fn every_reason_is_known_to_every_language_and_none_is_left_over() {
    let mut found: BTreeMap<String, Told> = BTreeMap::new();
    for (code, (words, values)) in rooms().flat_map(|source| told(&source)) {
        assert_eq!(places(&words), values, "`{code}` has a place without a value, or a value without a place");
        let known = found.entry(code.clone()).or_insert_with(|| (words.clone(), values));
        assert_eq!(known.0, words, "`{code}` says two things: give one of them a code of its own");
    }
    for known in ["required", "too_long", "endless_cycle", "refused_by_meta", "not_a_phone", "not_bounds"] {
        assert!(found.contains_key(known), "{known}: this test reads the sources wrongly");
    }
    for language in [Language::He, Language::Ar, Language::Ru] {
        let missing: Vec<&String> = found.keys().filter(|code| reason(language, code).is_none()).collect();
        assert!(
            missing.is_empty(),
            "{language} has no words for {missing:?}: put them into REASONS of api/src/language/{language}.rs"
        );
        for (code, words) in reasons(language) {
            let (english, _) = found.get(*code).unwrap_or_else(|| panic!("{language} has `{code}`, which nobody says"));
            assert_eq!(places(words), places(english), "{language} names other things for `{code}`");
        }
    }
}

#[test]
fn nobody_tells_a_problem_without_a_reason() {
    let sources = rooms().filter(|it| !it.path.ends_with("flow/validation.rs"));
    let sayings = sources.flat_map(|source| {
        let text = source.text.split("#[cfg(test)]").next().unwrap_or_default().to_owned();
        Source { text, path: source.path }.lines_with(&[" Problem {", "(Problem {"])
    });
    // Taking one apart is no telling.
    let sayings: Vec<String> = sayings.filter(|line| !line.contains(".. }")).collect();
    assert!(sayings.is_empty(), "{sayings:#?}");
}
