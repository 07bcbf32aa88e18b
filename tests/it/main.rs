//! Black-box tests: real Postgres, real HTTP on loopback.

mod architecture;
mod event_store;
mod golden;

mod flows;
mod rest;
mod retention;
mod webhooks;
