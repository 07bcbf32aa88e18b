//! The decider: what every aggregate does, without IO.

use cqrs_es::Aggregate;

/// A pure decision: state and command in, events or a refusal out.
pub trait Decide: Aggregate {
    /// The events this command leads to. Empty when its effect is already recorded.
    ///
    /// # Errors
    /// The rule that refuses the command.
    fn decide(&self, command: Self::Command) -> Result<Vec<Self::Event>, Self::Error>;
}

/// Everything of `cqrs_es::Aggregate` that follows from a [`Decide`] and a pure `apply_event`.
macro_rules! aggregate {
    ($aggregate:ty, $type:literal, $command:ty, $event:ty, $error:ty) => {
        impl cqrs_es::Aggregate for $aggregate {
            const TYPE: &'static str = $type;
            type Command = $command;
            type Event = $event;
            type Error = $error;
            type Services = ();

            async fn handle(
                &mut self,
                command: Self::Command,
                (): &Self::Services,
                sink: &cqrs_es::event_sink::EventSink<Self>,
            ) -> Result<(), Self::Error> {
                for event in crate::decide::Decide::decide(self, command)? {
                    sink.write(event, self).await;
                }
                Ok(())
            }

            fn apply(&mut self, event: Self::Event) {
                self.apply_event(event);
            }
        }
    };
}

/// `cqrs_es::DomainEvent` from a table of tags; every event starts at version 1.
macro_rules! event_tags {
    ($event:ident { $($variant:ident = $tag:literal),+ $(,)? }) => {
        impl $event {
            /// Every stable tag, for the golden files.
            pub const TAGS: &'static [&'static str] = &[$($tag),+];

            /// The stable tag of this event.
            pub const fn tag(&self) -> &'static str {
                match self { $(Self::$variant { .. } => $tag),+ }
            }
        }

        impl cqrs_es::DomainEvent for $event {
            fn event_type(&self) -> String {
                self.tag().to_owned()
            }
            fn event_version(&self) -> String {
                "1".to_owned()
            }
        }
    };
}

pub(crate) use aggregate;
pub(crate) use event_tags;
