//! Placeholders in a template's texts: `{{1}}`, `{{2}}`, … or `{{lower_snake}}`, never both.

use std::collections::BTreeSet;

/// A placeholder, by the bytes it takes up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placeholder<'a> {
    /// What stands between the braces.
    pub name: &'a str,
    /// Where it begins.
    pub start: usize,
    /// Where it ends.
    pub end: usize,
}

/// How a template's placeholders are named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Naming {
    /// By numbers.
    Positional,
    /// By words.
    Named,
}

/// Why a text's placeholders cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unreadable {
    /// Braces without their counterpart.
    Braces,
    /// What stands between braces is neither a number nor a word.
    Name(String),
}

/// Every placeholder of a text, in its order.
///
/// # Errors
/// Braces do not match, or hold something else.
pub fn read(text: &str) -> Result<Vec<Placeholder<'_>>, Unreadable> {
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(open) = text[from..].find("{{").map(|at| from + at) {
        if text[from..open].contains("}}") {
            return Err(Unreadable::Braces);
        }
        let close = text[open..].find("}}").map(|at| open + at).ok_or(Unreadable::Braces)?;
        let name = text[open + 2..close].trim();
        if name.contains(['{', '}']) {
            return Err(Unreadable::Braces);
        }
        if naming_of(name).is_none() {
            return Err(Unreadable::Name(name.to_owned()));
        }
        found.push(Placeholder { name, start: open, end: close + 2 });
        from = close + 2;
    }
    if text[from..].contains("}}") {
        return Err(Unreadable::Braces);
    }
    Ok(found)
}

/// The text with nothing in the place of its placeholders.
pub fn without(text: &str, placeholders: &[Placeholder<'_>]) -> String {
    let mut rest = String::with_capacity(text.len());
    let mut from = 0;
    for placeholder in placeholders {
        rest.push_str(&text[from..placeholder.start]);
        rest.push(' ');
        from = placeholder.end;
    }
    rest.push_str(&text[from..]);
    rest
}

/// Their names, each once.
pub fn names<'a>(placeholders: &[Placeholder<'a>]) -> BTreeSet<&'a str> {
    placeholders.iter().map(|it| it.name).collect()
}

/// How this one is named.
pub fn naming_of(name: &str) -> Option<Naming> {
    if !name.is_empty() && name.bytes().all(|b| b.is_ascii_digit()) {
        return Some(Naming::Positional);
    }
    let first = name.bytes().next()?;
    let word = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    (word && (first.is_ascii_lowercase() || first == b'_')).then_some(Naming::Named)
}

/// Whether numbers are 1, 2, 3, … without a gap.
pub fn are_in_sequence(names: &BTreeSet<&str>) -> bool {
    let mut numbers: Vec<usize> = names.iter().filter_map(|name| name.parse().ok()).collect();
    numbers.sort_unstable();
    numbers.len() == names.len() && numbers.iter().enumerate().all(|(at, number)| at + 1 == *number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_found_with_their_places() {
        let text = "שלום {{1}}, {{ order_id }}!";
        let found = read(text).unwrap();
        assert_eq!(found.iter().map(|it| it.name).collect::<Vec<_>>(), ["1", "order_id"]);
        assert_eq!(&text[found[0].start..found[0].end], "{{1}}");
        assert_eq!(without(text, &found), "שלום  ,  !");
        assert_eq!(read("no {braces} at all"), Ok(vec![]));
    }

    #[test]
    fn what_is_no_placeholder_is_told() {
        for bad in ["{{1", "1}}", "{{1}} }}", "{{ {{1}} }}", "a }} {{1}}"] {
            assert_eq!(read(bad), Err(Unreadable::Braces), "{bad}");
        }
        for (text, name) in [("{{}}", ""), ("{{Name}}", "Name"), ("{{a-b}}", "a-b"), ("{{1a}}", "1a"), ("{{#1}}", "#1")]
        {
            assert_eq!(read(text), Err(Unreadable::Name(name.to_owned())), "{text}");
        }
    }

    #[test]
    fn gaps_are_seen() {
        let set = |names: &[&'static str]| names.iter().copied().collect::<BTreeSet<_>>();
        assert!(are_in_sequence(&set(&["1", "2", "3"])) && are_in_sequence(&set(&[])));
        assert!(!are_in_sequence(&set(&["1", "3"])) && !are_in_sequence(&set(&["0", "1"])));
        let all: Vec<String> = (1..=11).map(|n| n.to_string()).collect();
        assert!(are_in_sequence(&all.iter().map(String::as_str).collect()));
    }
}
