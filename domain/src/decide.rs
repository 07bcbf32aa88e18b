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

/// `cqrs_es::DomainEvent` from a table of tags. Every event starts at version 1; `= "tag" @ "2"` says that its shape
/// changed since, and `upcast.rs` how the former shape is read.
macro_rules! event_tags {
    (@version) => { "1" };
    (@version $version:literal) => { $version };
    ($event:ident { $($variant:ident = $tag:literal $(@ $version:literal)?),+ $(,)? }) => {
        impl $event {
            /// Every stable tag, with the version of its shape that this build writes.
            pub const TAGS: &'static [(&'static str, &'static str)] =
                &[$(($tag, crate::decide::event_tags!(@version $($version)?))),+];

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
                match self { $(Self::$variant { .. } => crate::decide::event_tags!(@version $($version)?)),+ }.to_owned()
            }
        }
    };
}

pub(crate) use aggregate;
pub(crate) use event_tags;
