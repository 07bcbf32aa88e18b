//! Black-box tests: real Postgres, real HTTP on loopback.

mod architecture;
mod audit;
mod database;
mod erasure;
mod event_store;
mod golden;
mod journal;
mod kill;
mod nodes;
mod outbox;
mod projections;

mod flows;
mod rest;
mod retention;
mod store_guard;
mod together;
mod webhooks;
