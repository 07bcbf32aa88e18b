//! What a flow agrees to.

use chrono::{DateTime, Utc};
use cqrs_es::Aggregate as _;
use serde_json::Value;

use crate::decide::Decide;
use crate::flow::command::{FlowChange, FlowCommand};
use crate::flow::error::{DESCRIPTION_CHARS_MAX, FlowError, NAME_CHARS_MAX};
use crate::flow::event::FlowEvent;
use crate::flow::{Flow, FlowStatus, OpenFlow, drawflow};

impl Decide for Flow {
    fn decide(&self, command: FlowCommand) -> Result<Vec<FlowEvent>, FlowError> {
        match command {
            FlowCommand::Create { id, change, at } => match self {
                Self::Absent => {
                    let name = change.name.clone().ok_or(FlowError::Name)?;
                    let description = change.description.clone().unwrap_or_default();
                    check_words(&name, &description)?;
                    let created = FlowEvent::Created { flow_id: id, name, description, at };
                    let mut flow = Self::Absent;
                    flow.apply(created.clone());
                    let mut events = vec![created];
                    events.extend(flow.existing()?.change(change, at)?);
                    Ok(events)
                }
                Self::Open(_) | Self::Deleted => Err(FlowError::Exists),
            },
            FlowCommand::Change { change, at } => self.existing()?.change(change, at),
            FlowCommand::Publish { at } => self.existing()?.publish(at),
            FlowCommand::Delete { at } => match self {
                Self::Open(_) => Ok(vec![FlowEvent::Deleted { at }]),
                Self::Absent => Err(FlowError::NotFound),
                Self::Deleted => Ok(vec![]),
            },
        }
    }
}

impl Flow {
    fn existing(&self) -> Result<&OpenFlow, FlowError> {
        self.open().ok_or(FlowError::NotFound)
    }
}

impl OpenFlow {
    fn change(&self, change: FlowChange, at: DateTime<Utc>) -> Result<Vec<FlowEvent>, FlowError> {
        let mut events = Vec::new();
        let name = change.name.unwrap_or_else(|| self.name.clone());
        let description = change.description.unwrap_or_else(|| self.description.clone());
        check_words(&name, &description)?;
        if name != self.name || description != self.description {
            events.push(FlowEvent::Renamed { name, description, at });
        }
        let graph = match change.drawflow {
            Some(drawflow) if drawflow != self.draft => {
                check_graph(&drawflow)?;
                events.push(FlowEvent::GraphChanged { drawflow: drawflow.clone(), at });
                drawflow
            }
            Some(_) | None => self.draft.clone(),
        };
        match change.status {
            Some(FlowStatus::Active) => events.extend(self.activate(graph, at)?),
            Some(FlowStatus::Paused) if self.status != FlowStatus::Paused => events.push(FlowEvent::Paused { at }),
            Some(FlowStatus::Draft) if self.status != FlowStatus::Draft => {
                events.push(FlowEvent::ReturnedToDraft { at });
            }
            Some(FlowStatus::Paused | FlowStatus::Draft) | None => {}
        }
        Ok(events)
    }

    /// Active means: what was saved last is what runs.
    fn activate(&self, graph: Value, at: DateTime<Utc>) -> Result<Vec<FlowEvent>, FlowError> {
        let mut events = self.freeze(graph, at)?;
        let version = self.version + u32::from(!events.is_empty());
        if self.status != FlowStatus::Active {
            events.push(FlowEvent::Activated { version, at });
        }
        Ok(events)
    }

    fn publish(&self, at: DateTime<Utc>) -> Result<Vec<FlowEvent>, FlowError> {
        self.freeze(self.draft.clone(), at)
    }

    /// The next version, unless the last one is this graph already.
    fn freeze(&self, drawflow: Value, at: DateTime<Utc>) -> Result<Vec<FlowEvent>, FlowError> {
        check_graph(&drawflow)?;
        if self.version > 0 && drawflow == self.published {
            return Ok(vec![]);
        }
        Ok(vec![FlowEvent::VersionPublished { version: self.version + 1, drawflow, at }])
    }
}

fn check_words(name: &str, description: &str) -> Result<(), FlowError> {
    if name.trim().is_empty() || name.chars().count() > NAME_CHARS_MAX {
        return Err(FlowError::Name);
    }
    if description.chars().count() > DESCRIPTION_CHARS_MAX {
        return Err(FlowError::Description);
    }
    Ok(())
}

fn check_graph(drawflow: &Value) -> Result<(), FlowError> {
    drawflow::read(drawflow).map(drop).map_err(FlowError::Graph)
}

#[cfg(test)]
mod tests {
    use super::*;
    use cqrs_es::test::TestFramework;
    use serde_json::json;

    use crate::shared::ids::FlowId;

    type Given = TestFramework<Flow>;

    fn at() -> DateTime<Utc> {
        DateTime::from_timestamp(1_700_000_000, 0).expect("a time")
    }

    fn graph(text: &str) -> Value {
        json!({ "drawflow": { "Home": { "data": {
            "1": { "id": 1, "name": "trigger_message", "data": {}, "class": "", "html": "", "inputs": {},
                   "outputs": { "output_1": { "connections": [{ "node": "2", "output": "input_1" }] } }, "pos_x": 0, "pos_y": 0 },
            "2": { "id": 2, "name": "send_text", "data": { "text": text }, "class": "", "html": "",
                   "inputs": { "input_1": { "connections": [{ "node": "1", "input": "output_1" }] } },
                   "outputs": { "output_1": { "connections": [] } }, "pos_x": 0, "pos_y": 0 } } } } })
    }

    fn created() -> FlowEvent {
        FlowEvent::Created {
            flow_id: FlowId(uuid::Uuid::nil()),
            name: "Welcome".into(),
            description: String::new(),
            at: at(),
        }
    }

    fn status(status: FlowStatus) -> FlowCommand {
        FlowCommand::Change { change: FlowChange { status: Some(status), ..Default::default() }, at: at() }
    }

    #[test]
    fn activating_publishes_the_saved_graph_once() {
        let given = vec![created(), FlowEvent::GraphChanged { drawflow: graph("hi"), at: at() }];
        let published = FlowEvent::VersionPublished { version: 1, drawflow: graph("hi"), at: at() };
        let activated = FlowEvent::Activated { version: 1, at: at() };
        Given::with(())
            .given(given.clone())
            .when(status(FlowStatus::Active))
            .then_expect_events(vec![published.clone(), activated.clone()]);
        let active = [given, vec![published, activated]].concat();
        Given::with(()).given(active).when(status(FlowStatus::Active)).then_expect_events(vec![]);
    }

    #[test]
    fn an_active_flow_that_gets_a_new_graph_runs_it_only_when_activated_again() {
        let given = vec![
            created(),
            FlowEvent::VersionPublished { version: 1, drawflow: graph("hi"), at: at() },
            FlowEvent::Activated { version: 1, at: at() },
            FlowEvent::GraphChanged { drawflow: graph("bye"), at: at() },
        ];
        Given::with(())
            .given(given)
            .when(status(FlowStatus::Active))
            .then_expect_events(vec![FlowEvent::VersionPublished { version: 2, drawflow: graph("bye"), at: at() }]);
    }

    #[test]
    fn an_empty_graph_cannot_be_activated() {
        let result = Given::with(()).given(vec![created()]).when(status(FlowStatus::Active)).inspect_result();
        assert!(matches!(result, Err(FlowError::Graph(_))));
    }

    #[test]
    fn a_deleted_flow_is_gone_and_deleting_again_is_quiet() {
        let given = vec![created(), FlowEvent::Deleted { at: at() }];
        Given::with(()).given(given.clone()).when(FlowCommand::Delete { at: at() }).then_expect_events(vec![]);
        Given::with(()).given(given).when(status(FlowStatus::Paused)).then_expect_error(FlowError::NotFound);
    }
}
