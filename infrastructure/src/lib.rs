//! FlowBot's adapters: the ports of `application` over Postgres, HTTP and the operating system.

pub mod clock;
pub mod embedded_postgres;
pub mod security;
