//! Black-box tests: real HTTP, a real Postgres, no mocks.

mod flows;
mod rest;
mod webhooks;
