//! FlowBot's front door: the binary's commands, the REST operations, who may call them, and the OpenAPI document.
//!
//! Invariants: no rule lives here; `compose` alone names adapters and `config` alone reads the environment;
//! every error leaves as `{"error", "code"}`; what goes wrong inside is logged and never sent.

pub mod app;
pub mod commands;
pub mod compose;
pub mod config;
pub mod error;
pub mod language;
pub mod middleware;
pub mod openapi;
pub mod routes;
pub mod security;

/// A third of the processor time of a bulk send went into glibc's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
