//! The sealed log: numbers without gaps, tampering found and named, proofs and exports that need nobody's word.

mod exports;
mod given;
mod proofs;
mod sealing;
mod stranger;
mod tampering;
