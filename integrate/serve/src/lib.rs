//! What every end-to-end program shares: loading kernels, counting calls, the line protocol.

mod answer;
mod library;
mod protocol;

pub use answer::{Answer, Hasher};
pub use library::{BINS, Library, Op, WATCH, Watched, read_ticks};
pub use protocol::{Arguments, Program, run};
