//! How a command ends early: the kernel is at fault, the pair does not count, or it failed.

use crate::fault::Fault;
use serde::Serialize;

/// Why a pair does not count. No cause depends on which side was faster. Names on the wire are
/// those of Python's `records.VoidCause`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum VoidCause {
    /// The counter and the system's clock disagree about how much time passed.
    ClockJumped,
    /// The machine was suspended.
    MachineSlept,
    /// Other processes used too much of the measuring core.
    ForeignWork,
    /// The champion took too long from *arm* to *ready*.
    ChampionSlowToArm,
    /// The candidate did.
    CandidateSlowToArm,
    /// A worker was ready to run and did not get its core.
    KeptFromCore,
    /// A worker did not wake up for its slice.
    NotWoken,
    /// A worker was ended by a signal that no kernel can send.
    EndedFromOutside,
}

/// A pair that does not count, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Void {
    pub cause: VoidCause,
    /// A sentence for people; nothing may branch on it.
    pub detail: String,
}

impl Void {
    /// A void pair.
    pub fn new(cause: VoidCause, detail: impl Into<String>) -> Self {
        Void { cause, detail: detail.into() }
    }
}

/// Why a command could not be carried out, for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailureCode {
    /// The line is no command of this version, or its fields contradict each other.
    BadCommand,
    /// `open` has to come first.
    NotOpen,
    /// A pool, expected outputs or a library cannot be read, or are damaged.
    BadFile,
    /// The sandbox could not be opened.
    NoSandbox,
    /// The process that starts workers has ended: only a new `open` helps.
    SandboxGone,
    /// Other processes disturbed a command that is no pair, and so cannot be void.
    Disturbed,
    /// The system refused something: memory, a process, a descriptor.
    System,
}

/// Why a command could not be carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub code: FailureCode,
    pub detail: String,
}

impl Failure {
    /// A failure of this kind, in words.
    pub fn new(code: FailureCode, detail: impl Into<String>) -> Self {
        Failure { code, detail: detail.into() }
    }
}

/// An error without a code of its own is the system's refusal.
impl From<String> for Failure {
    fn from(detail: String) -> Self {
        Failure { code: FailureCode::System, detail }
    }
}

/// Why a command ended before its end.
#[derive(Debug)]
pub enum Stop {
    /// The kernel is at fault.
    Fault(Box<Fault>),
    /// The pair does not count, and no kernel is at fault.
    Void(Void),
    /// The command could not be carried out.
    Failure(Failure),
}

impl From<String> for Stop {
    fn from(detail: String) -> Self {
        Stop::Failure(detail.into())
    }
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Stop::Failure(failure)
    }
}

impl From<Void> for Stop {
    fn from(void: Void) -> Self {
        Stop::Void(void)
    }
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Stop::Fault(Box::new(fault))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_and_codes_have_the_names_that_python_knows() {
        let void = serde_json::to_value(Void::new(VoidCause::CandidateSlowToArm, "late"));
        let known = serde_json::json!({"cause": "candidate-slow-to-arm", "detail": "late"});
        assert_eq!(void.expect("plain data"), known);
        let code = serde_json::to_value(FailureCode::SandboxGone);
        assert_eq!(code.expect("a plain enum"), "sandbox-gone");
    }
}
