//! Waits for the customer's next message.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::flow::engine::Input;
use crate::flow::nodes::{Next, NodeKind, Step};

/// `{"saveAs": "answer", "timeoutSec": 3600}`
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct WaitReply {
    /// The variable that takes the text.
    pub save_as: Option<String>,
    /// How long it waits; as long as the run may when absent or 0.
    pub timeout_sec: Option<u32>,
}

impl NodeKind for WaitReply {
    fn exits(&self) -> Vec<String> {
        vec!["reply".to_owned(), "timeout".to_owned()]
    }

    fn waits(&self) -> bool {
        true
    }

    fn enter(&self, step: &mut Step<'_>) -> Next {
        step.await_reply(self.timeout_sec, 0)
    }

    fn resume(&self, step: &mut Step<'_>, input: &Input<'_>) -> Next {
        match input {
            Input::Reply(reply) if reply.kind.is_speech() => {
                step.save(self.save_as.as_deref(), Value::String(reply.text.clone().unwrap_or_default()));
                Next::exit("reply")
            }
            Input::Timeout => Next::exit("timeout"),
            Input::Reply(_) | Input::Start | Input::Delivery(_) => step.keep_waiting(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::flow::nodes::testing;

    #[test]
    fn a_reaction_is_no_reply() {
        let node: WaitReply = testing::node(json!({"saveAs": "a"}));
        let reaction = testing::inbound(json!({"kind": "reaction", "text": "👍"}));
        let (next, _, changed, _) = testing::outcome(&node, &testing::run(), Some(&Input::Reply(&reaction)));
        assert!(matches!(next, Next::Wait(_)));
        assert!(changed.is_empty());
    }
}
