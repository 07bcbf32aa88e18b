//! What happens next to a message, in one word and in a sentence.

use domain::shared::delivery::DeliveryStatus;

use crate::conversations::message_view::MessageView;
use crate::monitoring::views::{LineState, QueueRow, QueueState};
use crate::time::Stamp;

/// What happens next.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object), oai(rename_all = "camelCase", rename = "NextStep"))]
pub struct Prospect {
    /// `send`, `wait_for_line`, `wait_for_earlier`, `await_answer`, `await_status`, `retry_by_person` or `nothing`.
    pub step: String,
    /// In words.
    pub text: String,
    /// When, where that is known.
    pub at: Option<Stamp>,
}

/// What happens next to a message with this row of the queue on such a line.
pub fn prospect(message: &MessageView, row: Option<&QueueRow>, line: Option<LineState>) -> Prospect {
    match row {
        Some(row) => of_row(row, line),
        None => of_status(DeliveryStatus::from_word(&message.status)),
    }
}

fn of_row(row: &QueueRow, line: Option<LineState>) -> Prospect {
    let due = Some(row.due_at);
    match row.state {
        QueueState::Waiting => match line {
            Some(LineState::Paused) => {
                next("wait_for_line", "it waits until a person resumes the line, a day at most", None)
            }
            Some(LineState::Stopped) => next(
                "wait_for_line",
                "it waits until the trouble with the line's account is over and a person resumes the line, a day at most",
                None,
            ),
            Some(LineState::Running) | None if row.ahead > 0 => {
                next("wait_for_earlier", "it goes out after the messages of its conversation before it", None)
            }
            Some(LineState::Running) | None if row.error.is_some() => {
                next("send", "it was refused and is tried again", due)
            }
            Some(LineState::Running) | None => next("send", "it goes out at its turn", due),
        },
        QueueState::Claimed => next("send", "a sender has it: it leaves in a moment", due),
        QueueState::InFlight => next("await_answer", "its request left; without an answer by then it is in doubt", due),
        QueueState::InDoubt => next(
            "await_status",
            "a status of the channel may settle it until then; otherwise it is sent once more and marked as a possible duplicate",
            due,
        ),
        QueueState::Dead => {
            next("retry_by_person", "nothing, until a person has it sent again; it is kept for 30 days", None)
        }
    }
}

fn of_status(status: Option<DeliveryStatus>) -> Prospect {
    match status {
        Some(DeliveryStatus::Queued) => {
            next("send", "it is about to be queued, or was just taken out of the queue", None)
        }
        Some(DeliveryStatus::Sent) => next("await_status", "the channel has it and tells when it arrives", None),
        Some(DeliveryStatus::Delivered) => next("await_status", "it arrived; the channel tells when it is read", None),
        Some(DeliveryStatus::Failed) => next("retry_by_person", "nothing, until a person has it sent again", None),
        Some(DeliveryStatus::Read) | None => next("nothing", "it is done", None),
    }
}

fn next(step: &str, text: &str, at: Option<Stamp>) -> Prospect {
    Prospect { step: step.to_owned(), text: text.to_owned(), at }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(state: QueueState) -> QueueRow {
        QueueRow {
            state,
            phone_number_id: "1".into(),
            queued_at: Stamp::default(),
            attempts: 1,
            retry: 0,
            resent: false,
            due_at: Stamp::default(),
            expires_at: Stamp::default(),
            ahead: 0,
            error: None,
            held_up_by: None,
        }
    }

    fn step(state: QueueState, line: LineState, ahead: u64) -> String {
        prospect(&MessageView::default(), Some(&QueueRow { ahead, ..row(state) }), Some(line)).step
    }

    #[test]
    fn a_row_says_what_comes_next_and_a_held_line_comes_first() {
        for (state, line, ahead, expected) in [
            (QueueState::Waiting, LineState::Running, 0, "send"),
            (QueueState::Waiting, LineState::Running, 2, "wait_for_earlier"),
            (QueueState::Waiting, LineState::Paused, 2, "wait_for_line"),
            (QueueState::Waiting, LineState::Stopped, 0, "wait_for_line"),
            (QueueState::InFlight, LineState::Paused, 0, "await_answer"),
            (QueueState::InDoubt, LineState::Running, 0, "await_status"),
            (QueueState::Dead, LineState::Running, 0, "retry_by_person"),
        ] {
            assert_eq!(step(state, line, ahead), expected, "{state:?} {line:?}");
        }
    }

    #[test]
    fn without_a_row_the_status_says_it() {
        for (status, expected) in
            [("sent", "await_status"), ("failed", "retry_by_person"), ("read", "nothing"), ("received", "nothing")]
        {
            let message = MessageView { status: status.into(), ..MessageView::default() };
            assert_eq!(prospect(&message, None, None).step, expected, "{status}");
        }
    }
}
