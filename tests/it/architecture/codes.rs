//! Every code an error can have is known to every language: whoever adds one is told to translate it.

use std::collections::BTreeSet;

use api::language::{text, texts};
use domain::shared::preferences::Language;

use super::files::{Source, sources};

/// What stands before a code, and in which files.
const BEFORE: [(&str, &str); 16] = [
    ("ApiError::new(", "api/"),
    ("ApiError::invalid(", "api/"),
    ("ApiError::forbidden(", "api/"),
    ("Self::new(", "api/src/error.rs"),
    ("Self::invalid(", "api/src/error.rs"),
    ("Self::forbidden(", "api/src/error.rs"),
    ("Self::conflict(", "application/src/error.rs"),
    ("Conflict { code: ", ""),
    ("AppError::conflict(", ""),
    ("Upstream { code: ", ""),
    ("code: ", "application/src/templates"),
    ("refused(", "application/src/monitoring"),
    ("NotConfigured { code: ", ""),
    ("taken_or(", "infrastructure/"),
    ("self.change(name, update, ", "infrastructure/src/event_store/rebuild/"),
    ("CODE: &str = ", ""),
];

/// A code, if the text begins with a literal that looks like one, or with a call's arguments whose first or second does.
fn code_at(text: &str) -> Option<String> {
    let arguments = text.split([';', '{']).next().unwrap_or_default();
    // The status comes before the code, the error before what it means.
    let argument = arguments.splitn(3, ',').take(2).find_map(|it| it.trim_start().strip_prefix('"'));
    let code = argument?.split('"').next()?;
    let word = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
    (code.len() > 3 && code.bytes().all(word)).then(|| code.to_owned())
}

/// The codes of a file, its tests left out.
fn codes_of(source: Source) -> Vec<String> {
    let path = source.path.clone();
    let text = source.text.split("#[cfg(test)]").next().unwrap_or_default().to_owned();
    let text = Source { path: path.clone(), text }.words().text;
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ").replace("( ", "(");
    let places = BEFORE.iter().filter(|(_, room)| path.starts_with(room));
    places.flat_map(|(before, _)| text.split(before).skip(1).filter_map(code_at).collect::<Vec<_>>()).collect()
}

#[test]
fn every_code_is_known_to_every_language_and_none_is_left_over() {
    let rooms = ["application", "infrastructure", "api"].into_iter().flat_map(sources);
    let rooms = rooms.filter(|it| !it.path.contains("/tests") && !it.path.starts_with("api/src/language"));
    let mut found: BTreeSet<String> = rooms.flat_map(codes_of).collect();
    found.insert(application::error::OUTCOME_UNKNOWN.to_owned());
    for known in ["not_found", "username_taken", "line_taken", "not_rebuilding", "claimed", "email_not_configured"] {
        assert!(found.contains(known), "{known}: this test reads the sources wrongly");
    }
    for language in [Language::He, Language::Ar, Language::Ru] {
        let missing: Vec<&String> = found.iter().filter(|code| text(language, code).is_none()).collect();
        assert!(
            missing.is_empty(),
            "{language} has no text for {missing:?}: put one into api/src/language/{language}.rs"
        );
        let left: Vec<&str> = texts(language).iter().map(|it| it.0).filter(|code| !found.contains(*code)).collect();
        assert!(left.is_empty(), "{language} has texts nobody needs: {left:?}");
    }
}
