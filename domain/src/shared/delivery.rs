//! The status of an outbound message: a lattice, never last-write-wins.

string_enum! {
    /// How far an outbound message came. `queued < sent < delivered < read`; `failed` stands beside them.
    DeliveryStatus { Queued = "queued", Sent = "sent", Delivered = "delivered", Read = "read", Failed = "failed" }
}

impl DeliveryStatus {
    const fn rank(self) -> u8 {
        match self {
            Self::Queued => 0,
            Self::Sent => 1,
            Self::Failed => 2,
            Self::Delivered => 3,
            Self::Read => 4,
        }
    }

    /// Whether `news` tells more than this status. A message that was delivered did not fail, whatever
    /// arrives later; one that failed may still turn out to be delivered.
    pub const fn advances_to(self, news: Self) -> bool {
        news.rank() > self.rank()
    }

    /// The least status that knows both.
    #[must_use]
    pub const fn join(self, other: Self) -> Self {
        if self.advances_to(other) { other } else { self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joining_is_associative_commutative_and_idempotent() {
        for &a in DeliveryStatus::ALL {
            assert_eq!(a.join(a), a);
            for &b in DeliveryStatus::ALL {
                assert_eq!(a.join(b), b.join(a));
                for &c in DeliveryStatus::ALL {
                    assert_eq!(a.join(b).join(c), a.join(b.join(c)));
                }
            }
        }
    }

    #[test]
    fn a_read_message_stays_read() {
        for &late in DeliveryStatus::ALL {
            assert_eq!(DeliveryStatus::Read.join(late), DeliveryStatus::Read);
        }
    }
}
