//! Sends an approved template, and waits until the channel has taken or refused it.

use serde::{Deserialize, Serialize};

use crate::flow::engine::Input;
use crate::flow::nodes::{Next, NodeKind, Step};
use crate::flow::run::{Action, Wait, WaitFor};
use crate::flow::validation::Report;
use crate::shared::content::{OutboundContent, TemplateContent};

const SENT: &str = "sent";
const FAILED: &str = "failed";

/// `{"templateName": "order_update", "language": "he", "params": ["{{ orderId }}"]}`
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SendTemplate {
    /// The template by our id.
    pub template_id: Option<String>,
    /// The template by our group of translations.
    pub template_group_id: Option<String>,
    /// The template by its name at Meta.
    pub template_name: Option<String>,
    /// Its language.
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
}

impl NodeKind for SendTemplate {
    fn exits(&self) -> Vec<String> {
        vec![SENT.to_owned(), FAILED.to_owned()]
    }

    fn check(&self, report: &mut Report<'_>) {
        let by_id = self.template_id.is_some() || self.template_group_id.is_some();
        if by_id && self.name().is_empty() {
            report.warn("templateName", "is what is sent by; without it the run leaves by `failed`");
        } else {
            report.required("templateName", self.name());
        }
        if !self.name().is_empty() {
            report.required("language", self.language());
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
        let name = step.render(self.name());
        let language = step.render(self.language());
        if name.is_empty() || language.is_empty() {
            step.warn("a template without a name or a language was not sent");
            return Next::exit(FAILED);
        }
        let params = self.params.iter().map(|text| step.render(text)).collect();
        let header_param = self.header_param.as_deref().map(|text| step.render(text));
        let button_params = self.button_params.iter().map(|text| step.render(text)).collect();
        let template = TemplateContent { name, language, params, header_param, button_params };
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
    }
}
