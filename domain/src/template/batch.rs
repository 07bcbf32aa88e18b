//! Many templates submitted one after the other: how a job and each of its items stand.

string_enum! {
    /// Where a job stands.
    BatchStatus {
        /// Nothing was submitted yet.
        Pending = "pending",
        /// Its items are submitted one by one.
        Running = "running",
        /// Every item was tried, and one at least is there.
        Completed = "completed",
        /// Every item was tried, and none is there.
        Failed = "failed",
        /// Somebody stopped it; what had not been submitted never will be.
        Cancelled = "cancelled",
    }
}

string_enum! {
    /// Where an item stands.
    ItemState {
        /// It waits for its turn.
        Pending = "pending",
        /// It is on its way to Meta.
        Submitting = "submitting",
        /// Meta took it.
        Submitted = "submitted",
        /// The account had the same template already.
        AlreadyThere = "already_there",
        /// It is not there, and will not be.
        Failed = "failed",
        /// The job was stopped before its turn.
        Cancelled = "cancelled",
    }
}

impl BatchStatus {
    /// How a job ends when its last item is done.
    pub const fn at_the_end(ok: usize) -> Self {
        if ok > 0 { Self::Completed } else { Self::Failed }
    }

    /// Whether items are still to be submitted.
    pub const fn goes_on(self) -> bool {
        matches!(self, Self::Pending | Self::Running)
    }
}

impl ItemState {
    /// Whether the template is there.
    pub const fn is_ok(self) -> bool {
        matches!(self, Self::Submitted | Self::AlreadyThere)
    }

    /// Whether nothing more happens to it.
    pub const fn is_over(self) -> bool {
        !matches!(self, Self::Pending | Self::Submitting)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_that_brought_nothing_about_failed() {
        assert_eq!(
            (BatchStatus::at_the_end(0), BatchStatus::at_the_end(1)),
            (BatchStatus::Failed, BatchStatus::Completed)
        );
        let over: Vec<ItemState> = ItemState::ALL.iter().copied().filter(|it| it.is_over()).collect();
        let expected = [ItemState::Submitted, ItemState::AlreadyThere, ItemState::Failed, ItemState::Cancelled];
        assert_eq!(over, expected);
        assert!(ItemState::ALL.iter().all(|it| !it.is_ok() || it.is_over()));
    }
}
