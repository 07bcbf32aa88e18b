//! What channels tell us: taken in once, in order, whatever else is in the batch.

mod handshake;
mod inbound;
mod statuses;
mod templates;
mod vendors;
