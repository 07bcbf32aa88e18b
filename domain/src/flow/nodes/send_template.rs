//! Sends an approved template, and waits until the channel has taken or refused it.

use serde::{Deserialize, Serialize};

use crate::flow::engine::Input;
use crate::flow::nodes::{Next, NodeKind, Step};
use crate::flow::run::{Action, Wait, WaitFor};
use crate::flow::validation::Report;
use crate::shared::content::{OutboundContent, TemplateContent};
use crate::shared::ids::{TemplateGroupId, TemplateId};
use crate::reason;
use crate::shared::reason::Reason;

const SENT: &str = "sent";
const FAILED: &str = "failed";

/// `{"templateName": "order_update", "language": "he", "params": ["{{ orderId }}"]}`
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SendTemplate {
    /// The template by our id.
    pub template_id: Option<String>,
    /// One of a group of ours, as the group picks.
    pub template_group_id: Option<String>,
    /// The template by its name at Meta; where a group or an id is named, that counts.
    pub template_name: Option<String>,
    /// Its language; of a group, the members in this language alone when there are some.
    pub language: Option<String>,
    /// Body parameters in order.
    pub params: Vec<String>,
    /// The header's parameter.
    pub header_param: Option<String>,
    /// Parameters of dynamic buttons, by button index.
    pub button_params: Vec<String>,
}

impl SendTemplate {
    fn name(&self) -> &str {
        self.template_name.as_deref().unwrap_or_default()
    }

    fn language(&self) -> &str {
        self.language.as_deref().unwrap_or_default()
    }

    fn group(&self) -> Result<Option<TemplateGroupId>, Reason> {
        let id = self.template_group_id.as_deref().filter(|id| !id.is_empty());
        let wrong = || reason!("no_template_group_id", "is no id of a template group: the run leaves by `failed`");
        id.map(|id| id.parse().map_err(|_| wrong())).transpose()
    }

    fn template(&self) -> Result<Option<TemplateId>, Reason> {
        let id = self.template_id.as_deref().filter(|id| !id.is_empty());
        let wrong = || reason!("no_template_id", "is no id of a template: the run leaves by `failed`");
        id.map(|id| id.parse().map_err(|_| wrong())).transpose()
    }
}

impl NodeKind for SendTemplate {
    fn exits(&self) -> Vec<String> {
        vec![SENT.to_owned(), FAILED.to_owned()]
    }

    fn check(&self, report: &mut Report<'_>) {
        let (group, template) = (self.group(), self.template());
        let by_name = group == Ok(None) && template == Ok(None);
        for (field, wrong) in [("templateGroupId", group.err()), ("templateId", template.err())] {
            if let Some(reason) = wrong {
                report.warn(field, reason);
            }
        }
        if by_name {
            report.required("templateName", self.name());
            if !self.name().is_empty() {
                report.required("language", self.language());
            }
        }
        report.template("templateName", self.name());
        report.template("language", self.language());
        report.template("headerParam", self.header_param.as_deref().unwrap_or_default());
        for (index, text) in self.params.iter().enumerate() {
            report.template(&format!("params[{index}]"), text);
        }
        for (index, text) in self.button_params.iter().enumerate() {
            report.template(&format!("buttonParams[{index}]"), text);
        }
    }

    fn waits(&self) -> bool {
        true
    }

    fn enter(&self, step: &mut Step<'_>) -> Next {
        let (group_id, template_id) = (self.group().unwrap_or_default(), self.template().unwrap_or_default());
        let by_id = group_id.is_some() || template_id.is_some();
        let name = if by_id { String::new() } else { step.render(self.name()) };
        let language = if template_id.is_some() { String::new() } else { step.render(self.language()) };
        if !by_id && (name.is_empty() || language.is_empty()) {
            step.warn("a template without a name or a language was not sent");
            return Next::exit(FAILED);
        }
        let params = self.params.iter().map(|text| step.render(text)).collect();
        let header_param = self.header_param.as_deref().map(|text| step.render(text));
        let button_params = self.button_params.iter().map(|text| step.render(text)).collect();
        let template = TemplateContent { name, language, params, header_param, button_params, group_id, template_id };
        step.act(Action::Send(OutboundContent::Template(template)));
        Next::Wait(Wait { wait_for: WaitFor::Delivery, until: None, refused: 0 })
    }

    fn resume(&self, step: &mut Step<'_>, input: &Input<'_>) -> Next {
        match input {
            Input::Delivery(true) => Next::exit(SENT),
            Input::Delivery(false) | Input::Timeout => Next::exit(FAILED),
            Input::Reply(_) | Input::Start => step.keep_waiting(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::flow::nodes::testing;

    #[test]
    fn it_leaves_as_the_channel_says() {
        let node: SendTemplate = testing::node(json!({"templateName": "a", "language": "he"}));
        let resume = |input| testing::outcome(&node, &testing::run(), Some(&input)).0;
        assert_eq!(resume(Input::Delivery(true)), Next::exit(SENT));
        assert_eq!(resume(Input::Delivery(false)), Next::exit(FAILED));
        assert!(matches!(resume(Input::Reply(&testing::inbound(json!({})))), Next::Wait(_)));
    }

    #[test]
    fn it_needs_a_template_that_can_be_found() {
        let wrong = |data| testing::wrong_fields(&testing::node::<SendTemplate>(data));
        assert_eq!(wrong(json!({})), ["templateName"]);
        assert_eq!(wrong(json!({"templateName": "a", "params": ["{{"]})), ["language", "params[0]"]);
        assert!(wrong(json!({"templateGroupId": "7"})).is_empty());
        assert!(wrong(json!({"templateGroupId": "a8b4ef2d-a8a4-4650-9414-ab6f335e01b4"})).is_empty());
    }
}
