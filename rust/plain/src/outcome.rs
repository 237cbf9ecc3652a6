//! How a case ended.

use serde_json::{Value, json};

/// What became of one case.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// Every output is as expected.
    Equal,
    /// `expect`: the outputs are in the file.
    Written,
    /// An output differs, or something beside the outputs was written.
    Different,
    /// The process was ended by a signal, SIGILL for an instruction that the processor lacks.
    Trap,
    /// The kernel panicked.
    Panic,
    /// The case took longer than `separate::CASE_SECONDS`.
    Timeout,
    /// The library does not load or a file cannot be read: nothing is known about the kernel.
    Failed,
}

impl Outcome {
    /// Whether the kernel did what it should.
    pub fn is_good(self) -> bool {
        matches!(self, Outcome::Equal | Outcome::Written)
    }

    fn name(self) -> &'static str {
        match self {
            Outcome::Equal => "equal",
            Outcome::Written => "written",
            Outcome::Different => "different",
            Outcome::Trap => "trap",
            Outcome::Panic => "panic",
            Outcome::Timeout => "timeout",
            Outcome::Failed => "failed",
        }
    }
}

/// The line of one case.
pub fn report(combo: &str, outcome: Outcome, calls: usize, detail: &str) -> Value {
    json!({"combo": combo, "outcome": outcome.name(), "calls": calls, "detail": detail})
}
