//! Starts a run from `POST /api/webhook/flow/{flowId}/lead`.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::flow::nodes::webhook::Webhook;
use crate::flow::nodes::{Next, NodeKind, Step, Trigger};
use crate::flow::run::Variables;
use crate::flow::validation::{Problem, Report};

/// `{"mapping": [{"from": "tel", "to": "phone", "required": true, "type": "phone"}], "auth": {"mode": "jwt"}}`
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(transparent)]
pub struct TriggerLeadApi {
    /// Who may call, and how the payload becomes variables.
    pub webhook: Webhook,
}

impl TriggerLeadApi {
    /// The variables a payload gives.
    ///
    /// # Errors
    /// Every required field that is missing and every field that is not of its type.
    pub fn map_payload(&self, payload: &Map<String, Value>) -> Result<Variables, Vec<Problem>> {
        self.webhook.map_payload(payload)
    }
}

impl NodeKind for TriggerLeadApi {
    fn exits(&self) -> Vec<String> {
        vec!["next".to_owned()]
    }

    fn check(&self, report: &mut Report<'_>) {
        self.webhook.check(report);
    }

    fn is_trigger(&self) -> bool {
        true
    }

    fn trigger(&self) -> Option<Trigger<'_>> {
        Some(Trigger::LeadApi(self))
    }

    fn enter(&self, _step: &mut Step<'_>) -> Next {
        Next::exit("next")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::flow::nodes::testing;

    #[test]
    fn it_reads_its_data_as_a_webhook() {
        let trigger: TriggerLeadApi = testing::node(json!({"mapping": [{"from": ""}], "auth": {"mode": "bearer"}}));
        assert_eq!(testing::wrong_fields(&trigger), ["mapping[0].from", "auth.token"]);
        assert!(matches!(trigger.trigger(), Some(Trigger::LeadApi(_))));
    }
}
