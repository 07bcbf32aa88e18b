//! Conversations: what comes in, what is started, what people do.

pub mod claims;
pub mod inbound;
pub mod message_view;
pub mod outbound_status;
pub mod ports;
pub mod runs;
pub mod triggers;
pub mod views;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use domain::conversation::Conversation;
use domain::conversation::command::{ConversationCommand, Handling};
use domain::shared::content::OutboundContent;
use domain::shared::ids::{ConversationId, MessageId, StreamId};
use domain::shared::service_window;

use crate::actor::Session;
use crate::commands::{Along, CatchUp, Commands, Reached};
use crate::conversations::message_view::MessageView;
use crate::conversations::ports::{ConversationFilter, ConversationReader, Pause};
use crate::conversations::views::ConversationView;
use crate::error::{AppError, AppResult};
use crate::flows::Written;
use crate::history::at::At;
use crate::log::Document;
use crate::page::{Page, PageRequest};
use crate::time::{Clock, NewId, Stamp};
use crate::time_travel::{self, Past};

/// How long a caller waits for the channel's answer to its message, in milliseconds.
const SEND_ANSWER_MS: u64 = 10_000;
/// How often it looks.
const SEND_LOOK_MS: u64 = 25;

/// The conversations of accounts.
pub struct Conversations {
    /// Where commands go.
    pub commands: Arc<dyn Commands<Conversation>>,
    /// Where lists come from.
    pub reader: Arc<dyn ConversationReader>,
    /// What a write answers with while the read models lag.
    pub past: Arc<dyn Past<Conversation>>,
    /// Lets a caller read its own write.
    pub catch_up: Arc<dyn CatchUp>,
    /// Now.
    pub clock: Arc<dyn Clock>,
    /// Ids.
    pub ids: Arc<dyn NewId>,
    /// Waits between looks.
    pub pause: Arc<dyn Pause>,
}

/// A conversation with its messages.
#[derive(Debug, Clone, PartialEq)]
pub struct Details {
    /// The conversation.
    pub row: ConversationView,
    /// Whether free-form messages may be sent now.
    pub window_open: bool,
    /// When that ends.
    pub window_closes_at: Option<Stamp>,
    /// A page of messages.
    pub messages: Page<MessageView>,
}

impl Details {
    /// As it stands at an instant.
    pub fn of(row: ConversationView, messages: Page<MessageView>, now: DateTime<Utc>) -> Self {
        let said_at = row.last_customer_message_at.map(|at| at.0);
        Self {
            window_open: service_window::is_open(said_at, now),
            window_closes_at: service_window::closes_at(said_at).map(Stamp),
            row,
            messages,
        }
    }
}

impl Conversations {
    /// The account's conversations.
    ///
    /// # Errors
    /// They cannot be read.
    pub async fn list(
        &self,
        session: &Session,
        filter: &ConversationFilter,
        page: &PageRequest,
    ) -> AppResult<Page<ConversationView>> {
        self.reader.list(session.tenant, filter, page).await
    }

    /// How many of the account's conversations stand in each status.
    ///
    /// # Errors
    /// They cannot be read.
    pub async fn counts(&self, session: &Session) -> AppResult<Vec<(String, u64)>> {
        self.reader.counts(session.tenant).await
    }

    /// One conversation with a page of its messages.
    ///
    /// # Errors
    /// It is not there.
    pub async fn get(&self, session: &Session, id: ConversationId, page: &PageRequest) -> AppResult<Details> {
        let row = self.reader.get(session.tenant, id).await?.ok_or(AppError::NotFound("conversation"))?;
        let messages = self.reader.messages(session.tenant, id, page).await?;
        Ok(Details::of(row, messages, self.clock.now()))
    }

    /// Claims, releases, closes or reopens it.
    ///
    /// # Errors
    /// It is not there, or somebody else was faster.
    pub async fn handle(
        &self,
        session: &Session,
        id: ConversationId,
        handling: Handling,
        expected_version: Option<u32>,
    ) -> AppResult<Written<Details>> {
        let command =
            ConversationCommand::Handle { handling, by: session.user, expected_version, at: self.clock.now() };
        let reached = self.run(session, id, command).await?;
        let caught_up = self.caught_up(reached).await;
        let view = self.get(session, id, &PageRequest { limit: 50, after: None }).await?;
        Ok(Written { view, caught_up })
    }

    /// Sends a person's message and waits, at most 10 s, for the channel to take it.
    ///
    /// # Errors
    /// It is not there, the window is closed, somebody else has it, or the channel refused.
    pub async fn reply(
        &self,
        session: &Session,
        id: ConversationId,
        content: OutboundContent,
    ) -> AppResult<MessageView> {
        let message_id = MessageId(self.ids.new_id());
        let command = ConversationCommand::Reply { by: session.user, message_id, content, at: self.clock.now() };
        let reached = self.run(session, id, command).await?;
        self.caught_up(reached).await;
        if let Some(message) = self.answer(|| self.reader.message(session.tenant, message_id)).await? {
            return Ok(message);
        }
        // The read models lag: the log itself tells.
        let stream = StreamId::new(session.tenant, id.0);
        let messages = time_travel::all(&*self.past, &stream, &At::Time(self.clock.now())).await?;
        let message = messages.into_iter().find(|message: &MessageView| message.id == message_id.0);
        refuse_failed(message)?.ok_or(AppError::NotFound("message"))
    }

    /// A message once the channel answered, or as it stands after 10 s.
    pub(crate) async fn answer<F>(&self, look: impl Fn() -> F) -> AppResult<Option<MessageView>>
    where
        F: Future<Output = AppResult<Option<MessageView>>>,
    {
        let mut waited = 0;
        loop {
            let message = look().await?;
            let settled = message.as_ref().is_some_and(|message| message.status != "queued");
            if settled || waited >= SEND_ANSWER_MS {
                return refuse_failed(message);
            }
            self.pause.pause(SEND_LOOK_MS).await;
            waited += SEND_LOOK_MS;
        }
    }

    async fn run(&self, session: &Session, id: ConversationId, command: ConversationCommand) -> AppResult<Reached> {
        let stream = StreamId::new(session.tenant, id.0);
        Ok(self.commands.run(&stream, &session.cause(), command, Along::default()).await?)
    }

    pub(crate) async fn caught_up(&self, reached: Reached) -> bool {
        match reached.position {
            Some(position) => self.catch_up.wait(&[ConversationView::NAME, MessageView::NAME], position).await,
            None => true,
        }
    }
}

fn refuse_failed(message: Option<MessageView>) -> AppResult<Option<MessageView>> {
    match message {
        Some(MessageView { status, error: Some(error), .. }) if status == "failed" => Err(AppError::Conflict {
            code: "send_refused",
            message: format!("the channel refused the message: {} ({})", error.title, error.code),
        }),
        other => Ok(other),
    }
}
