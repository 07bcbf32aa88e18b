//! What `send_buttons` and `send_list` share: the customer picks one of several, or says something else.

use serde_json::Value;

use crate::flow::engine::Input;
use crate::flow::nodes::{Next, Step};
use crate::shared::inbound::InboundMessage;

/// The exit for an answer that is none of the choices.
pub const OTHER: &str = "other";
/// The exit when no answer came in time.
pub const TIMEOUT: &str = "timeout";
/// The exits beside those of the choices.
pub const FIXED: [&str; 2] = [OTHER, TIMEOUT];
/// Rows a list message can have.
pub const ROWS_MAX: usize = 10;

/// The id of a choice: its title when the author gave none.
pub fn id_of<'a>(id: &'a str, title: &'a str) -> &'a str {
    if id.is_empty() { title } else { id }
}

/// The exits of a question with these choices.
pub fn exits<'a>(ids: impl Iterator<Item = &'a str>) -> Vec<String> {
    ids.chain(FIXED).map(str::to_owned).collect()
}

/// What the answer to a question with these choices (id, title) leads to.
pub fn resume(step: &mut Step<'_>, input: &Input<'_>, choices: &[(&str, &str)], save_as: Option<&str>) -> Next {
    match input {
        Input::Reply(reply) if reply.kind.is_speech() => answer(step, reply, choices, save_as),
        Input::Timeout => Next::exit(TIMEOUT),
        Input::Reply(_) | Input::Start | Input::Delivery(_) => step.keep_waiting(),
    }
}

fn answer(step: &mut Step<'_>, reply: &InboundMessage, choices: &[(&str, &str)], save_as: Option<&str>) -> Next {
    let titles: Vec<String> = choices.iter().map(|(_, title)| step.render(title)).collect();
    let ids: Vec<&str> = choices.iter().map(|(id, _)| *id).collect();
    match chosen(reply, &ids, &titles) {
        Some(index) => {
            step.save(save_as, Value::String(titles[index].clone()));
            Next::exit(ids[index])
        }
        None => {
            step.save(save_as, Value::String(reply.text.clone().unwrap_or_default()));
            Next::exit(OTHER)
        }
    }
}

/// The choice a message means: by its id, by its title as typed, or by its number.
fn chosen(reply: &InboundMessage, ids: &[&str], titles: &[String]) -> Option<usize> {
    let pressed = reply.choice.as_ref().and_then(|choice| ids.iter().position(|id| *id == choice.id));
    let typed = reply.text.as_deref().unwrap_or_default().trim().to_lowercase();
    let by_title = || titles.iter().position(|title| title.trim().to_lowercase() == typed);
    let by_number = || typed.parse::<usize>().ok().filter(|n| (1..=ids.len()).contains(n)).map(|n| n - 1);
    pressed.or_else(by_title).or_else(by_number)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::flow::nodes::testing::inbound;

    #[test]
    fn a_choice_is_pressed_typed_or_counted() {
        let titles = ["Yes".to_owned(), "No".to_owned(), "3".to_owned(), "1".to_owned()];
        let pick = |message| chosen(&inbound(message), &["y", "n", "three", "one"], &titles);
        assert_eq!(pick(json!({"kind": "choice", "text": "Yes", "choice": {"id": "n", "title": "No"}})), Some(1));
        assert_eq!(pick(json!({"kind": "choice", "text": "No", "choice": {"id": "old", "title": "No"}})), Some(1));
        assert_eq!(pick(json!({"text": " yes "})), Some(0));
        assert_eq!(pick(json!({"text": "2"})), Some(1));
        assert_eq!(pick(json!({"text": "1"})), Some(3), "a title comes before a number");
        assert_eq!(pick(json!({"text": "0"})), None);
        assert_eq!(pick(json!({"text": "maybe"})), None);
        assert_eq!(pick(json!({"kind": "image"})), None);
    }
}
