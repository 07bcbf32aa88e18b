//! What Meta checks of a template before it takes it for review (Meta, support/error-codes: template creation).

use serde_json::Value;

use super::meta_check::Refusal;

/// A template that passed.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Checked {
    pub name: String,
    pub language: String,
    pub category: String,
    pub components: Value,
}

/// Checks a request as Graph does: the first thing that is wrong is told.
pub(super) fn check(body: &[u8]) -> Result<Checked, Refusal> {
    let body: Value = serde_json::from_slice(body).map_err(|error| Refusal::new(100, format!("not JSON: {error}")))?;
    let text = |name: &str| {
        let given = body[name].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        given.ok_or_else(|| Refusal::new(100, format!("{name} is required")))
    };
    let (name, language, category) = (text("name")?, text("language")?, text("category")?);
    if name.len() > 512 || !name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_') {
        return Err(Refusal::new(100, "name may have lower-case letters, digits and underscores alone"));
    }
    if !["UTILITY", "MARKETING", "AUTHENTICATION"].contains(&category.as_str()) {
        return Err(Refusal::new(100, "category is unknown"));
    }
    if let Some(code) = name.rsplit_once('_').and_then(|(_, code)| code.parse().ok()).filter(|code| *code >= 2_000_000)
    {
        return Err(Refusal::sub(100, code, "the name asks for it"));
    }
    let components = body["components"].as_array().ok_or_else(|| Refusal::new(100, "components must be an array"))?;
    let find =
        |kind: &str| components.iter().find(|it| it["type"].as_str().is_some_and(|it| it.eq_ignore_ascii_case(kind)));
    let body_component = find("BODY").ok_or_else(|| Refusal::sub(100, 2_388_072, "BODY is missing"))?;
    check_header(find("HEADER"))?;
    if let Some(text) = body_component["text"].as_str() {
        check_body(text)?;
    }
    let footer = find("FOOTER").and_then(|footer| footer["text"].as_str()).unwrap_or_default();
    if footer.chars().count() > 60 || footer.contains("{{") {
        return Err(Refusal::sub(100, 2_388_073, "FOOTER has formatting or is too long"));
    }
    Ok(Checked { name, language, category, components: body["components"].clone() })
}

fn check_header(header: Option<&Value>) -> Result<(), Refusal> {
    let Some(header) = header else { return Ok(()) };
    let text = header["text"].as_str().unwrap_or_default();
    let media = ["IMAGE", "VIDEO", "GIF", "DOCUMENT"].iter().any(|media| header["format"] == *media);
    let handle = header["example"]["header_handle"][0].as_str();
    if text.chars().count() > 60 || text.matches("{{").count() > 1 || (media && handle.is_none()) {
        return Err(Refusal::sub(100, 2_388_047, "HEADER is too long, or its sample is missing"));
    }
    Ok(())
}

fn check_body(text: &str) -> Result<(), Refusal> {
    if text.chars().count() > 1_024 {
        return Err(Refusal::sub(100, 2_388_040, "A field exceeded the character limit"));
    }
    let trimmed = text.trim();
    if trimmed.starts_with("{{") || trimmed.ends_with("}}") {
        return Err(Refusal::sub(100, 2_388_299, "Variables can't be at the start or end of the template"));
    }
    let placeholders = text.matches("{{").count();
    if placeholders > 0 && text.split_whitespace().count() <= placeholders {
        return Err(Refusal::sub(100, 2_388_293, "This template has too many variables for its length"));
    }
    Ok(())
}
