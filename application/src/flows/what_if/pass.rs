//! One pass over a conversation: folds its state, and hands out the wanted runs as they go by.

use std::collections::VecDeque;

use cqrs_es::Aggregate as _;
use domain::conversation::Conversation;
use domain::conversation::event::ConversationEvent;
use domain::conversation::what_if::{ends, is_silence};
use domain::shared::ids::{ConversationId, RunId, TenantId};

use crate::error::AppResult;
use crate::flows::what_if::{EVENTS_PAGE, RecordedRuns, Told};

/// A recorded run: the conversation before it, and its events with the silence after them.
pub(super) struct Run {
    id: RunId,
    ended: bool,
    pub(super) before: Conversation,
    pub(super) events: Vec<ConversationEvent>,
}

/// What a pass comes to next.
pub(super) enum Met {
    /// A wanted run.
    Run(Run),
    /// So many wanted runs that nobody can read any more.
    Erased(u64),
    /// The end.
    Nothing,
}

/// A pass over one conversation.
pub(super) struct Pass {
    pub(super) conversation: ConversationId,
    /// Where wanted runs start, the earliest first.
    wanted: VecDeque<i64>,
    state: Conversation,
    after: i64,
    page: VecDeque<Told>,
    /// Whether there is nothing after the page.
    read: bool,
    run: Option<Run>,
}

impl Pass {
    pub(super) fn over(conversation: ConversationId, wanted: Vec<i64>) -> Self {
        let (state, page) = (Conversation::default(), VecDeque::new());
        Self { conversation, wanted: wanted.into(), state, after: 0, page, read: false, run: None }
    }

    pub(super) async fn next(&mut self, runs: &dyn RecordedRuns, tenant: TenantId) -> AppResult<Met> {
        loop {
            if self.run.is_none() && self.wanted.is_empty() {
                return Ok(Met::Nothing);
            }
            if self.page.is_empty() && !self.read {
                self.page = runs.events(tenant, self.conversation, self.after).await?.into();
                self.read = self.page.len() < usize::from(EVENTS_PAGE);
            }
            match self.page.pop_front() {
                None => return Ok(self.run.take().map_or(Met::Nothing, Met::Run)),
                Some((_, None)) => {
                    let left = self.wanted.len() + usize::from(self.run.take().is_some());
                    self.wanted.clear();
                    return Ok(Met::Erased(left as u64));
                }
                Some((sequence, Some(event))) => {
                    let done = self.close_before(&event);
                    self.take(sequence, event);
                    if let Some(run) = done {
                        return Ok(Met::Run(run));
                    }
                }
            }
        }
    }

    /// The run that ended, when this event ends the silence after it.
    fn close_before(&mut self, event: &ConversationEvent) -> Option<Run> {
        let mut run = self.run.take_if(|run| run.ended && !is_silence(event))?;
        run.events.push(event.clone());
        Some(run)
    }

    fn take(&mut self, sequence: i64, event: ConversationEvent) {
        self.after = sequence;
        if let ConversationEvent::FlowRunStarted { run_id, .. } = &event
            && self.wanted.front() == Some(&sequence)
        {
            self.wanted.pop_front();
            self.run = Some(Run { id: *run_id, ended: false, before: self.state.clone(), events: Vec::new() });
        }
        if let Some(run) = &mut self.run {
            run.ended |= ends(&event, run.id);
            run.events.push(event.clone());
        }
        self.state.apply(event);
    }
}
