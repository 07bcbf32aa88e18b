//! FlowBot's adapters: the ports of `application` over Postgres, HTTP and the operating system.

pub mod bulk_sender;
pub mod channels;
pub mod clock;
pub mod embedded_postgres;
pub mod event_store;
pub mod http_client;
pub mod inbound;
pub mod jobs;
pub mod mail;
pub mod nodes;
pub mod outbox;
pub mod post;
pub mod postgres;
pub mod retention;
pub mod sandbox;
pub mod sealing;
pub mod security;
pub mod social;
pub mod template_batches;
pub mod together;
