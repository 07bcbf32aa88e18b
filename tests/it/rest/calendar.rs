//! The calendar.

pub mod appointments;
mod slots;
