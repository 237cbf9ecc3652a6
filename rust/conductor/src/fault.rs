//! The faults of a kernel.

use serde::Serialize;

/// A kernel's fault. Names on the wire are those of Python's `records.FaultKind`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// An output differs from Lance's.
    #[default]
    Mismatch,
    /// An output was left as it was before the call.
    Poison,
    /// Something beside the output was written.
    Slack,
    /// An output changed after the call had returned.
    LateWrite,
    Panic,
    Signal,
    Timeout,
    /// The process asked for something that its sandbox refuses.
    Sandbox,
    /// The heap is used up.
    Memory,
    /// The kernel worked before *go*.
    Arm,
    /// The stack is used up.
    Stack,
    /// The processor's state is not as a caller may expect it.
    ProcessorState,
}

/// The first fault, with its place. Field names are those of the protocol.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Fault {
    pub side: String,
    pub kind: FaultKind,
    pub combo: String,
    pub call: usize,
    pub part: usize,
    /// Byte offset of the first difference within the part.
    pub offset: usize,
    /// Differing elements, out of `total`.
    pub differs: usize,
    pub total: usize,
    pub got_hex: String,
    pub expected_hex: String,
    /// The conductor's words, or untrusted text of the kernel's process.
    pub note: Option<String>,
    pub signal: Option<i32>,
    pub syscall: Option<String>,
}

impl Fault {
    /// A fault of this kind, its place yet to be filled in.
    pub fn new(kind: FaultKind) -> Self {
        Fault { kind, ..Fault::default() }
    }

    /// The same with the conductor's words.
    pub fn with_note(kind: FaultKind, note: impl Into<String>) -> Self {
        Fault { kind, note: Some(note.into()), ..Fault::default() }
    }
}

/// Lower-case hexadecimal of at most `max` bytes.
pub fn hex(bytes: &[u8], max: usize) -> String {
    bytes.iter().take(max).map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_have_the_names_that_python_knows() {
        let name = |kind: FaultKind| serde_json::to_value(kind).expect("a plain enum");
        assert_eq!(name(FaultKind::LateWrite), "late_write");
        assert_eq!(name(FaultKind::Arm), "arm");
        assert_eq!(name(FaultKind::ProcessorState), "processor_state");
    }
}
