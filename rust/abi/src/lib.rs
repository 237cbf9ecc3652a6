//! The memory layouts that conductor, worker and kernel library share.
//!
//! `processor` compares and resets the state of the processor that a callee must keep;
//! `call` holds the data between worker and library (the shim includes the same file);
//! `wire` holds the data between conductor and worker, and never reaches a library.

pub mod call;
pub mod processor;
pub mod wire;
