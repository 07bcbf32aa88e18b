//! The template language of the text fields: `{{ path }}` with filters. Lookups and filters only, with a
//! bound on the work; a template never stops a run.

use std::sync::LazyLock;

use minijinja::{AutoEscape, Environment, Error, ErrorKind, Output, State, UndefinedBehavior};
use serde_json::Value;

use crate::flow::run::{Env, Scopes, Variables};
use crate::reason;
use crate::shared::reason::Reason;

/// The names that are scopes; a run variable of such a name is out of reach.
pub const SCOPE_NAMES: [&str; 6] = ["contact", "lead", "conversation", "flow", "trigger", "now"];

/// Work one rendering may take: about one unit an instruction and one per 64 bytes it handles.
const FUEL_MAX: u64 = 10_000;

/// Set on the state of a rendering when something undefined was printed.
const MISSING: &str = "flowbot.missing";

/// Everything a template sees.
#[derive(Debug, Clone, Copy)]
pub struct Values<'a> {
    /// The run's variables, at top level.
    pub variables: &'a Variables,
    /// `contact.*`, `lead.*`, …
    pub scopes: &'a Scopes,
    /// `now`.
    pub env: &'a Env,
}

impl Values<'_> {
    fn root(&self, name: &str) -> Option<Value> {
        let scope = match name {
            "contact" => &self.scopes.contact,
            "lead" => &self.scopes.lead,
            "conversation" => &self.scopes.conversation,
            "flow" => &self.scopes.flow,
            "trigger" => &self.scopes.trigger,
            "now" => return Some(Value::String(self.now())),
            variable => return self.variables.get(variable).cloned(),
        };
        (!scope.is_null()).then(|| scope.clone())
    }

    fn now(&self) -> String {
        self.env.now.with_timezone(&self.env.timezone).to_rfc3339()
    }

    fn context(&self) -> minijinja::Value {
        let mut all = self.variables.clone();
        for name in SCOPE_NAMES {
            match self.root(name) {
                Some(value) => all.insert(name.to_owned(), value),
                None => all.remove(name),
            };
        }
        minijinja::Value::from(minijinja::value::Serde(all))
    }
}

/// A text with its variables filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// The text.
    pub text: String,
    /// Variables that were missing, and what else went wrong.
    pub warnings: Vec<String>,
}

static ENVIRONMENT: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Chainable);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_formatter(print);
    environment.set_fuel(Some(FUEL_MAX));
    environment
});

/// Whether the text has anything to fill in.
pub fn is_template(text: &str) -> bool {
    ["{{", "{%", "{#"].iter().any(|open| text.contains(open))
}

/// Fills in a text. What is missing or fails renders empty and warns.
pub fn render(text: &str, values: &Values<'_>) -> Rendered {
    if !is_template(text) {
        return Rendered { text: text.to_owned(), warnings: Vec::new() };
    }
    match try_render(text, values) {
        Ok(rendered) => rendered,
        Err(error) => Rendered { text: String::new(), warnings: vec![format!("template: {error}")] },
    }
}

fn try_render(text: &str, values: &Values<'_>) -> Result<Rendered, Error> {
    let template = ENVIRONMENT.template_from_str(text)?;
    let captured = template.render_captured(values.context())?;
    let printed_nothing = captured.state().get_temp(MISSING).is_some();
    let mut warnings = if printed_nothing || !text.contains("{%") { missing(text, values) } else { Vec::new() };
    if printed_nothing && warnings.is_empty() {
        warnings.push("a variable is missing".to_owned());
    }
    Ok(Rendered { text: captured.into_output(), warnings })
}

/// Which of the printed paths lead nowhere and have no default.
fn missing(text: &str, values: &Values<'_>) -> Vec<String> {
    let paths = text.split("{{").skip(1).filter_map(|after| {
        let inside = after.split("}}").next()?.trim_matches(['-', '+', ' ', '\n', '\t']);
        let (path, filters) = inside.split_once('|').unwrap_or((inside, ""));
        let has_default = filters.split('|').any(|f| f.trim().starts_with("default") || f.trim().starts_with("d("));
        let path = path.trim();
        (is_path(path) && !has_default && lookup(path, values).is_none()).then_some(path)
    });
    let mut named: Vec<String> = Vec::new();
    for warning in paths.map(|path| format!("variable `{path}` is missing")) {
        if !named.contains(&warning) {
            named.push(warning);
        }
    }
    named
}

fn print(out: &mut Output<'_>, state: &mut State<'_, '_>, value: &minijinja::Value) -> Result<(), Error> {
    use minijinja::value::ValueKind;
    if value.is_undefined() {
        state.set_temp(MISSING, minijinja::Value::from(true));
        return Ok(());
    }
    if value.is_none() {
        return Ok(());
    }
    if matches!(value.kind(), ValueKind::Map | ValueKind::Seq | ValueKind::Bool) {
        let json = serde_json::to_string(value)
            .map_err(|error| Error::new(ErrorKind::BadSerialization, "not JSON").with_source(error))?;
        return Ok(out.write_str(&json)?);
    }
    Ok(write!(out, "{value}")?)
}

/// The value a path such as `lead.email` or `order.items[0].sku` leads to.
pub fn lookup(path: &str, values: &Values<'_>) -> Option<Value> {
    let (root, rest) = split_root(path.trim());
    at(&values.root(root)?, rest).cloned()
}

/// The value a path leads to inside a JSON value.
pub fn at<'v>(value: &'v Value, path: &str) -> Option<&'v Value> {
    path.split(['.', '[', ']']).map(str::trim).filter(|part| !part.is_empty()).try_fold(
        value,
        |value, part| match value {
            Value::Object(fields) => fields.get(part.trim_matches(['"', '\''])),
            Value::Array(items) => items.get(part.parse::<usize>().ok()?),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
        },
    )
}

fn split_root(path: &str) -> (&str, &str) {
    path.split_at(path.find(['.', '[']).unwrap_or(path.len()))
}

/// The path of a text that is one `{{ path }}` and nothing else.
pub fn single_path(text: &str) -> Option<&str> {
    let path = text.trim().strip_prefix("{{")?.strip_suffix("}}")?.trim();
    is_path(path).then_some(path)
}

fn is_path(text: &str) -> bool {
    let is_constant = matches!(text.to_lowercase().as_str(), "true" | "false" | "none");
    !is_constant
        && text.starts_with(|c: char| c.is_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '.' | '[' | ']'))
}

/// Whether a text parses and names only filters, tests and functions there are.
///
/// # Errors
/// What is wrong with it, for the author.
pub fn check(text: &str) -> Result<(), Reason> {
    if !is_template(text) {
        return Ok(());
    }
    let template = ENVIRONMENT.template_from_str(text).map_err(unparsed)?;
    match template.render(minijinja::Value::UNDEFINED) {
        Err(error) if names_nothing(error.kind()) => Err(unparsed(error)),
        Ok(_) | Err(_) => Ok(()),
    }
}

fn unparsed(error: minijinja::Error) -> Reason {
    reason!("template_syntax", "does not parse: {error}", error)
}

const fn names_nothing(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::UnknownFilter | ErrorKind::UnknownTest | ErrorKind::UnknownFunction)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::flow::nodes::testing;

    fn filled(text: &str) -> Rendered {
        let variables = json!({
            "name": "Dana", "total": 12.5, "count": 3, "empty": null, "yes": true,
            "order": {"items": [{"sku": "A1"}]}, "lead": "not the lead", "trigger": "not the trigger",
        });
        let scopes = Scopes { lead: json!({"email": "d@x.io"}), ..Scopes::default() };
        let env = testing::env();
        let variables = variables.as_object().unwrap();
        render(text, &Values { variables, scopes: &scopes, env: &env })
    }

    #[test]
    fn values_print_as_people_read_them() {
        for (template, expected) in [
            ("no template {", "no template {"),
            ("Hi {{ name }}!", "Hi Dana!"),
            ("{{total}} {{count}} {{ yes }}", "12.5 3 true"),
            ("[{{ empty }}]", "[]"),
            ("{{ order.items[0].sku }}", "A1"),
            ("{{ order }}", r#"{"items":[{"sku":"A1"}]}"#),
            ("{{ lead.email | default(\"-\") }}", "d@x.io"),
            ("{{ lead.phone | default(\"-\") }}", "-"),
            ("{{ name | upper }} <b>{{ \"<\" }}</b>", "DANA <b><</b>"),
            ("{{ now }}", "2026-01-10T16:00:00+02:00"),
            ("{% if yes %}a{% else %}b{% endif %}", "a"),
        ] {
            assert_eq!(filled(template), Rendered { text: expected.into(), warnings: vec![] }, "{template}");
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        assert_eq!(
            filled("{{ name }}{{ nick }}{{ order.x.y.z }}{{ lead.phone | upper }}{{ a | default(1) }}"),
            Rendered {
                text: "Dana1".into(),
                warnings: ["nick", "order.x.y.z", "lead.phone"].map(|v| format!("variable `{v}` is missing")).into(),
            }
        );
        assert_eq!(filled("{{ trigger.x }}").warnings, ["variable `trigger.x` is missing"]);
        assert_eq!(filled("{{ trigger }}").text, "");
        assert_eq!(filled("{{ nick ~ '' }}{{ 'a' }}{{ true }}").warnings, Vec::<String>::new());
        let guarded = "{% if nick %}{{ nick }}{% endif %}{% for i in order.items %}{{ i.sku }}{% endfor %}";
        assert_eq!(filled(guarded), Rendered { text: "A1".into(), warnings: vec![] });
    }

    #[test]
    fn what_fails_renders_empty_and_warns() {
        for template in ["{{ name", "{{ 1 / 0 }}", "{{ x | nothing }}", "{% for i in range(9000) %}{{ i }}{% endfor %}"]
        {
            let rendered = filled(template);
            assert_eq!(rendered.text, "", "{template}");
            assert_eq!(rendered.warnings.len(), 1, "{template}");
        }
    }

    #[test]
    fn a_template_is_checked_when_it_is_saved() {
        for good in ["", "a { b", "{{ a.b[0] | default('-') }}", "{% if a %}b{% endif %}"] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for bad in ["{{ a", "{{ a b }}", "{% if a %}", "{{ a | nothing }}", "{{ f() }}"] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_single_path_is_told_from_a_text() {
        assert_eq!(single_path(" {{ order.items[0] }} "), Some("order.items[0]"));
        for text in ["{{ a }}b", "{{ a | upper }}", "{{ a }}{{ b }}", "a", "{{ 1 }}"] {
            assert_eq!(single_path(text), None, "{text}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn no_text_makes_rendering_panic(text in "(\\{\\{|\\}\\}|\\{%|%\\}|[a-z. |\\[\\]()\"']|\\PC){0,40}") {
            let _ = check(&text);
            prop_assert_eq!(filled(&text), filled(&text));
        }
    }
}
