//! The channels FlowBot speaks, each in a room of its own.

pub mod whatsapp;
