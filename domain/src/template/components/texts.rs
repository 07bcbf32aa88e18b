//! Header, body and footer (Meta, templates/components and template-review).

use serde_json::Value;

use crate::reason;
use crate::template::components::Report;
use crate::template::placeholders::{self, Naming, Placeholder, Unreadable};

/// Characters of a header's text at most.
pub const HEADER_CHARS_MAX: usize = 60;
/// Characters of a body at most.
pub const BODY_CHARS_MAX: usize = 1_024;
/// Characters of a footer at most.
pub const FOOTER_CHARS_MAX: usize = 60;
/// Words a body has for each of its placeholders at least. Meta refuses too many of them for the length (2388293)
/// without saying where the line is; this one refuses nothing Meta's own examples do.
pub const WORDS_PER_PLACEHOLDER: usize = 2;

/// Formats of a header whose content is uploaded first.
pub const MEDIA_FORMATS: [&str; 4] = ["IMAGE", "VIDEO", "GIF", "DOCUMENT"];

/// The header.
pub fn check_header(header: &Value, field: &str, report: &mut Report) {
    let format = header["format"].as_str().unwrap_or_default().to_uppercase();
    match format.as_str() {
        "TEXT" => check_header_text(header, field, report),
        "LOCATION" => {}
        media if MEDIA_FORMATS.contains(&media) => check_media(header, media, field, report),
        _ => {
            let allowed = format!("TEXT, LOCATION, {}", MEDIA_FORMATS.join(", "));
            report.problem(format!("{field}.format"), reason!("one_of", "is one of {allowed}", allowed));
        }
    }
}

fn check_header_text(header: &Value, field: &str, report: &mut Report) {
    let Some(text) = text_of(header, field, HEADER_CHARS_MAX, report) else { return };
    let Some(found) = read(text, field, report) else { return };
    if found.len() > 1 {
        report.problem(format!("{field}.text"), reason!("one_placeholder", "has at most one placeholder"));
    }
    check_sequence(&found, field, report);
    check_examples(header, &found, ("header_text", "header_text_named_params"), field, report);
}

/// A sample of the media: a handle of Meta's, or the file itself, which is uploaded for one.
pub fn check_media(header: &Value, format: &str, field: &str, report: &mut Report) {
    let example = &header["example"];
    if let Some(media) = example.get("header_media") {
        let at = format!("{field}.example.header_media");
        let kind = media["contentType"].as_str().unwrap_or_default();
        let fitting: &[&str] = match format {
            "IMAGE" => &["image/jpeg", "image/png"],
            "DOCUMENT" => &["application/pdf"],
            _ => &["video/mp4"],
        };
        if !fitting.contains(&kind) {
            let reason = reason!("media_kind", "is {kinds} for {format}", kinds = fitting.join(", "), format);
            report.problem(format!("{at}.contentType"), reason);
        }
        let in_base64 = |text: &str| {
            let digit = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/');
            !text.is_empty() && text.len().is_multiple_of(4) && text.trim_end_matches('=').bytes().all(digit)
        };
        if !media["data"].as_str().is_some_and(in_base64) {
            report.problem(format!("{at}.data"), reason!("not_base64", "is the file in base64"));
        }
        return;
    }
    let handles = example["header_handle"].as_array().map_or(&[][..], Vec::as_slice);
    let whole = |handle: &Value| handle.as_str().is_some_and(|handle| !handle.trim().is_empty());
    if handles.is_empty() || !handles.iter().all(whole) {
        let reason = reason!(
            "sample_needed",
            "is the handle of an uploaded sample, or leave it out and put the file into `header_media`"
        );
        report.problem(format!("{field}.example.header_handle"), reason);
    }
}

/// The body.
pub fn check_body(body: &Value, field: &str, chars_max: usize, report: &mut Report) {
    let Some(text) = text_of(body, field, chars_max, report) else { return };
    let Some(found) = read(text, field, report) else { return };
    let at = format!("{field}.text");
    if let (Some(first), Some(last)) = (found.first(), found.last()) {
        if text[..first.start].trim().is_empty() {
            report.problem(&at, reason!("placeholder_first", "does not begin with a placeholder"));
        }
        if text[last.end..].trim().is_empty() {
            report.problem(&at, reason!("placeholder_last", "does not end with a placeholder"));
        }
        let adjacent = found.windows(2).any(|pair| text[pair[0].end..pair[1].start].trim().is_empty());
        if adjacent {
            report.problem(&at, reason!("placeholders_adjacent", "has words between two placeholders"));
        }
        let words = placeholders::without(text, &found);
        let words = words.split_whitespace().filter(|word| word.contains(char::is_alphanumeric)).count();
        if words < found.len() * WORDS_PER_PLACEHOLDER {
            let reason = reason!("words_too_few", "has too few words for so many placeholders");
            report.problem(&at, reason);
        }
    }
    check_sequence(&found, field, report);
    check_examples(body, &found, ("body_text", "body_text_named_params"), field, report);
}

/// The footer.
pub fn check_footer(footer: &Value, field: &str, report: &mut Report) {
    let Some(text) = text_of(footer, field, FOOTER_CHARS_MAX, report) else { return };
    if read(text, field, report).is_some_and(|found| !found.is_empty()) {
        report.problem(format!("{field}.text"), reason!("no_placeholders", "has no placeholders"));
    }
}

/// A text that is there and short enough. One that is too long is looked at further.
fn text_of<'a>(component: &'a Value, field: &str, chars_max: usize, report: &mut Report) -> Option<&'a str> {
    let Some(text) = component["text"].as_str().filter(|text| !text.trim().is_empty()) else {
        report.problem(format!("{field}.text"), reason!("required", "is required"));
        return None;
    };
    if text.chars().count() > chars_max {
        let reason = reason!("too_long", "has at most {max} characters", max = chars_max);
        report.problem(format!("{field}.text"), reason);
    }
    Some(text)
}

fn read<'a>(text: &'a str, field: &str, report: &mut Report) -> Option<Vec<Placeholder<'a>>> {
    let reason = match placeholders::read(text) {
        Ok(found) => return Some(found),
        Err(Unreadable::Braces) => reason!("braces", "has braces without their counterpart"),
        Err(Unreadable::Name(name)) => {
            let placeholder = format!("{{{{{name}}}}}");
            reason!(
                "placeholder_name",
                "`{placeholder}` is no placeholder: a number, or a word of a-z, 0-9 and `_`",
                placeholder
            )
        }
    };
    report.problem(format!("{field}.text"), reason);
    None
}

fn check_sequence(found: &[Placeholder<'_>], field: &str, report: &mut Report) {
    let names = placeholders::names(found);
    let numbered = names.iter().all(|name| placeholders::naming_of(name) == Some(Naming::Positional));
    if numbered && !placeholders::are_in_sequence(&names) {
        let reason = reason!("placeholder_numbers", "has placeholders numbered from {{1}} on, without a gap");
        report.problem(format!("{field}.text"), reason);
    }
}

/// Every placeholder needs an example.
fn check_examples(
    component: &Value,
    found: &[Placeholder<'_>],
    (positional, named): (&str, &str),
    field: &str,
    report: &mut Report,
) {
    let names = placeholders::names(found);
    if names.is_empty() {
        return;
    }
    let example = &component["example"];
    let is_text = |value: &Value| value.as_str().is_some_and(|text| !text.trim().is_empty());
    if names.iter().any(|name| placeholders::naming_of(name) == Some(Naming::Named)) {
        let given = example[named].as_array().map_or(&[][..], Vec::as_slice);
        for name in names {
            if !given.iter().any(|it| it["param_name"] == name && is_text(&it["example"])) {
                let placeholder = format!("{{{{{name}}}}}");
                let reason = reason!("example_missing", "has no example of {placeholder}", placeholder);
                report.problem(format!("{field}.example.{named}"), reason);
            }
        }
        return;
    }
    let list = example[positional].as_array();
    // A body's examples are a list of lists, a header's a list.
    let list = if positional == "body_text" { list.and_then(|rows| rows.first()?.as_array()) } else { list };
    let given = list.map_or(0, |list| list.iter().filter(|it| is_text(it)).count());
    if given != names.len() || list.is_some_and(|list| list.len() != given) {
        let reason = reason!(
            "example_count",
            "has one example for each of {wanted} placeholder(s), and has {given}",
            wanted = names.len(),
            given
        );
        report.problem(format!("{field}.example.{positional}"), reason);
    }
}
