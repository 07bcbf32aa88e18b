//! The customers' phones: what each shows, per line, in bounded memory.

use std::collections::{HashMap, VecDeque};

use application::time::Stamp;
use chrono::{DateTime, Utc};
use domain::shared::delivery::DeliveryStatus;
use domain::shared::service_window;
use serde::Serialize;
use serde_json::{Value, json};

const MESSAGES_PER_LINE: usize = 1_000;
const CUSTOMERS: usize = 10_000;
/// All phones together; the phone that is known longest goes first.
const MESSAGES: usize = 500_000;

/// One message on a phone.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Shown {
    pub wamid: String,
    /// `in` from the customer, `out` from the business.
    pub direction: &'static str,
    #[serde(rename = "type")]
    pub kind: String,
    pub content: Value,
    #[serde(serialize_with = "as_stamp")]
    pub at: DateTime<Utc>,
    /// Of the business's messages: how far they came. Of the customer's: `read` once the business says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<DeliveryStatus>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_code: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub correlation: Option<String>,
}

/// Times look the same everywhere in the API.
fn as_stamp<S: serde::Serializer>(at: &DateTime<Utc>, serializer: S) -> Result<S::Ok, S::Error> {
    Stamp(*at).serialize(serializer)
}

#[derive(Default)]
struct Phone {
    name: Option<String>,
    lines: HashMap<String, Thread>,
}

#[derive(Default)]
struct Thread {
    shown: VecDeque<Shown>,
    last_in: Option<DateTime<Utc>>,
}

/// All customers' phones, by number without `+` or by user id.
#[derive(Default)]
pub(super) struct Phones {
    phones: HashMap<String, Phone>,
    by_age: VecDeque<String>,
    messages: usize,
}

impl Phones {
    /// Puts a message on a phone.
    pub(super) fn show(&mut self, customer: &str, line: &str, shown: Shown) {
        if !self.phones.contains_key(customer) {
            self.by_age.push_back(customer.to_owned());
        }
        let phone = self.phones.entry(customer.to_owned()).or_default();
        let thread = phone.lines.entry(line.to_owned()).or_default();
        if shown.direction == "in" {
            thread.last_in = Some(shown.at);
        }
        thread.shown.push_back(shown);
        self.messages += 1;
        if thread.shown.len() > MESSAGES_PER_LINE {
            thread.shown.pop_front();
            self.messages -= 1;
        }
        while self.phones.len() > CUSTOMERS || self.messages > MESSAGES {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        let Some(phone) = self.by_age.pop_front().and_then(|oldest| self.phones.remove(&oldest)) else {
            return;
        };
        self.messages -= phone.lines.values().map(|thread| thread.shown.len()).sum::<usize>();
    }

    /// Remembers what a customer calls themselves; the name to use.
    pub(super) fn named(&mut self, customer: &str, name: Option<String>) -> String {
        let known = self.phones.get_mut(customer);
        match (known, name) {
            (Some(phone), Some(name)) => phone.name.insert(name).clone(),
            (Some(phone), None) => phone.name.clone().unwrap_or_else(|| format!("Customer {customer}")),
            (None, name) => name.unwrap_or_else(|| format!("Customer {customer}")),
        }
    }

    /// Tells a message's status, as far as it is news.
    pub(super) fn tell(&mut self, customer: &str, line: &str, wamid: &str, status: DeliveryStatus, code: Option<i64>) {
        let thread = self.phones.get_mut(customer).and_then(|phone| phone.lines.get_mut(line));
        let found = thread.and_then(|thread| thread.shown.iter_mut().rev().find(|shown| shown.wamid == wamid));
        if let Some(shown) = found {
            shown.status = Some(shown.status.map_or(status, |before| before.join(status)));
            shown.error_code = shown.error_code.or(code);
        }
    }

    /// The business read a customer's message; whose it is, Graph finds by the message alone.
    pub(super) fn read_on(&mut self, line: &str, wamid: &str) {
        for phone in self.phones.values_mut() {
            let thread = phone.lines.get_mut(line);
            if let Some(shown) = thread.and_then(|thread| thread.shown.iter_mut().rev().find(|it| it.wamid == wamid)) {
                shown.status = Some(DeliveryStatus::Read);
                return;
            }
        }
    }

    /// Whether the customer wrote to the line within the service window.
    pub(super) fn window_open(&self, customer: &str, line: &str, now: DateTime<Utc>) -> bool {
        service_window::is_open(self.thread(customer, line).and_then(|thread| thread.last_in), now)
    }

    /// The newest message of the business on the phone: what a pressed button belongs to.
    pub(super) fn last_out(&self, customer: &str, line: &str) -> Option<String> {
        let newest = self.thread(customer, line)?.shown.iter().rev().find(|shown| shown.direction == "out")?;
        Some(newest.wamid.clone())
    }

    /// What a phone shows, oldest first: of one line, or of all.
    pub(super) fn view(&self, customer: &str, line: Option<&str>) -> Vec<Value> {
        let Some(phone) = self.phones.get(customer) else {
            return Vec::new();
        };
        let chosen = phone.lines.iter().filter(|(id, _)| line.is_none_or(|line| line == id.as_str()));
        let mut shown: Vec<_> = chosen.flat_map(|(id, thread)| thread.shown.iter().map(move |it| (id, it))).collect();
        shown.sort_by_key(|(_, it)| it.at);
        shown.into_iter().map(|(id, it)| with_line(id, it)).collect()
    }

    /// All customers, longest known first.
    pub(super) fn customers(&self) -> Vec<Value> {
        let each = |key: &String| {
            let phone = self.phones.get(key)?;
            let mut lines: Vec<_> = phone.lines.keys().collect();
            lines.sort();
            let messages: usize = phone.lines.values().map(|thread| thread.shown.len()).sum();
            Some(json!({ "customer": key, "name": phone.name, "lines": lines, "messages": messages }))
        };
        self.by_age.iter().filter_map(each).collect()
    }

    fn thread(&self, customer: &str, line: &str) -> Option<&Thread> {
        self.phones.get(customer)?.lines.get(line)
    }
}

fn with_line(line: &str, shown: &Shown) -> Value {
    let mut view = json!(shown);
    view["phoneNumberId"] = json!(line);
    view
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(n: usize) -> Shown {
        Shown {
            wamid: n.to_string(),
            direction: "in",
            kind: "text".into(),
            content: Value::Null,
            at: Utc::now(),
            status: None,
            error_code: None,
            correlation: None,
        }
    }

    #[test]
    fn memory_is_bounded_and_the_oldest_goes() {
        let mut phones = Phones::default();
        for n in 0..MESSAGES_PER_LINE + 5 {
            phones.show("1", "L", message(n));
        }
        assert_eq!(phones.view("1", Some("L")).len(), MESSAGES_PER_LINE);
        assert_eq!(phones.view("1", None)[0]["wamid"], "5");
        for n in 0..CUSTOMERS {
            phones.show(&format!("c{n}"), "L", message(n));
        }
        assert!(phones.view("1", None).is_empty());
        assert_eq!((phones.customers().len(), phones.messages), (CUSTOMERS, CUSTOMERS));
    }
}
