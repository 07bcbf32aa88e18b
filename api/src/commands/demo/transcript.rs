//! The demo's conversation, for people.

use anyhow::Context;
use serde_json::Value;

/// Prints a conversation's messages with times and statuses.
pub(super) fn print(details: &Value) -> anyhow::Result<()> {
    let messages = details["messages"].as_array().context("a conversation has messages")?;
    let text = |value: &Value| value.as_str().unwrap_or("–").to_owned();
    say!("\n{} ({})", text(&details["customerName"]), text(&details["waPhoneNumber"]));
    say!("{:-<100}", "");
    for message in messages {
        let at = text(&message["at"]);
        let time = at.get(11..23).unwrap_or(&at);
        let who = match message["author"].as_str() {
            Some("customer") => "customer",
            Some("flow") => "flow",
            Some("user") => "person",
            Some(_) | None => "system",
        };
        say!("{time}  {who:<9} {}", text(&message["text"]));
        for button in message["media"]["buttons"].as_array().into_iter().flatten() {
            say!("{:24} [ {} ]", "", text(&button["title"]));
        }
        if message["direction"] == "outbound" {
            say!("{:24} {}", "", statuses(&message["statusAt"]));
        }
    }
    say!("{:-<100}", "");
    Ok(())
}

/// `queued 12:00:00.000 · sent +12 ms · …`
fn statuses(times: &Value) -> String {
    let at = |word: &str| times[word].as_str().and_then(|text| text.parse::<chrono::DateTime<chrono::Utc>>().ok());
    let Some(queued) = at("queued") else { return String::new() };
    let since = |word: &str| at(word).map(|reached| format!("{word} +{} ms", (reached - queued).num_milliseconds()));
    let reached: Vec<String> = ["sent", "delivered", "read", "failed"].into_iter().filter_map(since).collect();
    format!("queued · {}", reached.join(" · "))
}
