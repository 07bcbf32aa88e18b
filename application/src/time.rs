//! Time and ids as ports: the only way a use case learns the time or draws an id.

use chrono::{DateTime, Utc};
use uuid::Uuid;

/// What time it is.
pub trait Clock: Send + Sync {
    /// The present instant, to the millisecond.
    fn now(&self) -> DateTime<Utc>;
}

/// Where new ids come from.
pub trait NewId: Send + Sync {
    /// An id never given before.
    fn new_id(&self) -> Uuid;
}
