//! What channels tell us.
