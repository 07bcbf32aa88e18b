//! The customer service window: free-form messages are allowed for 24 hours after the customer's last
//! message (Meta, messages/send-messages).

use chrono::{DateTime, TimeDelta, Utc};

/// How long the window stays open after the customer's last message.
pub const SERVICE_WINDOW: TimeDelta = TimeDelta::hours(24);

/// When the window closes, if the customer ever wrote.
pub fn closes_at(last_customer_message_at: Option<DateTime<Utc>>) -> Option<DateTime<Utc>> {
    last_customer_message_at.map(|at| at + SERVICE_WINDOW)
}

/// Whether a free-form message may be sent now.
pub fn is_open(last_customer_message_at: Option<DateTime<Utc>>, now: DateTime<Utc>) -> bool {
    closes_at(last_customer_message_at).is_some_and(|closes| now < closes)
}
