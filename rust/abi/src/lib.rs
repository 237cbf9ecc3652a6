//! The memory layouts that conductor, worker and kernel library share.
//!
//! `call` holds the data between worker and library (the shim includes the same file);
//! `wire` holds the data between conductor and worker, and never reaches a library.

pub mod call;
pub mod wire;
