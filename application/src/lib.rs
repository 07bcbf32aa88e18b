//! FlowBot's use cases and ports: what can be asked, who may ask, which rooms it goes through.
//!
//! Invariants: no SQL, no HTTP, no clock; rules live in `domain`, adapters in `infrastructure`.

pub mod actor;
pub mod appointments;
pub mod audit;
pub mod bulk;
pub mod channels;
pub mod commands;
pub mod contacts;
pub mod conversations;
pub mod effects;
pub mod error;
pub mod flows;
pub mod history;
pub mod idempotency;
pub mod identity;
pub mod leads;
pub mod limits;
pub mod log;
pub mod monitoring;
pub mod page;
pub mod people;
pub mod projections;
pub mod templates;
pub mod time;
pub mod time_travel;
