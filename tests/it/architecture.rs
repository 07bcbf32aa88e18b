//! What the house promises about itself: who may depend on whom, where the outside is read, how large a file may be.

mod codes;
mod files;
mod reasons;

use std::collections::BTreeSet;

use files::{Source, manifest, root, sources};

/// Lines of a file at most.
const LINES_MAX: usize = 500;

/// Names of a manifest's `[dependencies]`; optional ones with a `?`.
fn dependencies(krate: &str) -> BTreeSet<String> {
    let mut inside = false;
    let mut names = BTreeSet::new();
    for line in manifest(krate).lines().map(str::trim) {
        if line.starts_with('[') {
            inside = line == "[dependencies]";
        } else if inside && let Some((name, value)) = line.split_once('=') {
            let mark = if value.contains("optional = true") { "?" } else { "" };
            names.insert(format!("{}{mark}", name.trim().trim_end_matches(".workspace")));
        }
    }
    assert!(!names.is_empty(), "{krate} has dependencies");
    names
}

#[track_caller]
fn allows(krate: &str, allowed: &[&str]) {
    let extra: Vec<String> = dependencies(krate).into_iter().filter(|name| !allowed.contains(&name.as_str())).collect();
    assert!(extra.is_empty(), "{krate} may not depend on {extra:?}");
}

#[track_caller]
fn nobody_says(what: &[&str], sources: impl IntoIterator<Item = Source>) {
    let sayings = sources.into_iter().flat_map(|source| source.lines_with(what));
    let sayings: Vec<String> = sayings.collect();
    assert!(sayings.is_empty(), "{sayings:#?}");
}

#[test]
fn dependencies_point_inwards() {
    let pure = [
        "chrono",
        "chrono-tz",
        "cqrs-es",
        "minijinja",
        "poem-openapi?",
        "regex",
        "serde",
        "serde_json",
        "thiserror",
        "uuid",
    ];
    allows("domain", &pure);
    let application = [
        "async-trait",
        "chrono",
        "chrono-tz",
        "cqrs-es",
        "domain",
        "poem-openapi?",
        "serde",
        "serde_json",
        "thiserror",
        "tracing",
        "uuid",
    ];
    allows("application", &application);
    assert!(!dependencies("infrastructure").contains("api"), "infrastructure never imports api");
    nobody_says(&["api::", "use api"], sources("infrastructure").into_iter().map(Source::words));
}

#[test]
fn the_domain_can_read_no_clock_and_draw_no_id() {
    let manifest = manifest("domain");
    for (name, forbidden) in [("chrono", "clock"), ("uuid", "\"v4\""), ("uuid", "\"v7\"")] {
        let line = manifest.lines().find(|line| line.starts_with(&format!("{name} ="))).expect("a dependency");
        assert!(line.contains("default-features = false") && !line.contains(forbidden), "{line}");
    }
}

#[test]
fn openapi_is_named_in_two_files_and_in_attributes() {
    let rooms = ["domain", "application"].into_iter().flat_map(sources);
    let others = rooms.filter(|it| !["domain/src/macros.rs", "application/src/time.rs"].contains(&it.path.as_str()));
    nobody_says(&["poem_openapi"], others.map(|it| it.without("cfg_attr")));
}

#[test]
fn compose_alone_names_adapters() {
    let allowed = |path: &str| {
        ["api/src/compose", "api/src/commands", "api/src/main.rs"].iter().any(|room| path.starts_with(room))
    };
    // Signatures are arithmetic, not an adapter.
    let others = sources("api")
        .into_iter()
        .filter(|it| !allowed(&it.path))
        .map(|it| it.without("infrastructure::security::signatures"));
    nobody_says(&["infrastructure::"], others);
}

#[test]
fn the_environment_is_read_in_two_places() {
    let allowed =
        |path: &str| ["api/src/config", "infrastructure/src/embedded_postgres"].iter().any(|it| path.starts_with(it));
    let rooms = ["domain", "application", "infrastructure", "api"].into_iter().flat_map(sources);
    let others = rooms.filter(|it| !allowed(&it.path));
    nobody_says(&["env::var", "env::args", "env::set_var", "option_env!"], others);
}

#[test]
fn the_clock_is_read_in_one_place_and_in_the_sandbox() {
    let allowed = |path: &str| path == "infrastructure/src/clock.rs" || path.starts_with("infrastructure/src/sandbox");
    let rooms = ["domain", "application", "infrastructure", "api"].into_iter().flat_map(sources);
    nobody_says(&["Utc::now", "Local::now", "SystemTime::now"], rooms.filter(|it| !allowed(&it.path)));
}

#[test]
fn files_are_short_and_modules_carry_their_own_name() {
    let rooms = ["domain", "application", "infrastructure", "api", "tests"].into_iter().flat_map(sources);
    let mut faults = Vec::new();
    for source in rooms {
        let lines = source.text.lines().count();
        if lines > LINES_MAX {
            faults.push(format!("{} has {lines} lines", source.path));
        }
        if source.path.ends_with("/mod.rs") {
            faults.push(format!("{} should be called after its module", source.path));
        }
        if !source.text.starts_with("//!") {
            faults.push(format!("{} does not say what it is", source.path));
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn every_node_kind_has_a_fixture() {
    let registry =
        sources("domain").into_iter().find(|it| it.path == "domain/src/flow/nodes.rs").expect("the registry");
    let row = |line: &str| {
        let (name, rest) = line.trim().strip_prefix('"')?.split_once('"')?;
        (rest.contains("=>") && rest.contains("::")).then(|| name.to_owned())
    };
    let kinds: BTreeSet<String> = registry.text.lines().filter_map(row).collect();
    let files = std::fs::read_dir(root().join("tests/fixtures/nodes")).expect("fixtures");
    let fixtures: BTreeSet<String> =
        files.filter_map(|file| file.ok()?.file_name().to_str()?.strip_suffix(".json").map(str::to_owned)).collect();
    assert!(kinds.len() >= 18, "{kinds:?}");
    assert_eq!(kinds, fixtures);
}
