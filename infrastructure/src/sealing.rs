//! Tamper evidence. A sealer walks the log behind its horizon and signs a chain of digests over the stored bytes;
//! whoever has one signed head can later tell that nothing below it was changed, dropped, swapped or put in.
//!
//! - leaf: sha256 over ten netstrings, the stored fields of the event ([`leaf`]);
//! - digest of a batch: sha256 over its leaves, in the order of the log;
//! - chain: sha256 over the chain before (32 zero bytes at first) and the digest;
//! - signature: Ed25519 over batch, last number and chain ([`chain::head_text`]).
//!
//! The dense number of an event is its place in the order of the log, from 1. Nothing here is on the way of an append.

pub mod chain;
pub mod export;
pub mod export_file;
pub mod head_file;
pub mod inclusion;
pub mod keys;
pub mod leaf;
pub mod proofs;
pub mod reader;
pub mod sealer;
pub mod seals;
pub mod verify;
