//! The memory layouts that conductor, worker and kernel library share.
//!
//! `call` is what crosses between worker and library (the shim includes the same file);
//! `wire` is what crosses between conductor and worker, and never reaches a library.

pub mod call;
pub mod wire;
