//! What can go wrong with a kernel, and how a command ends early.

use serde::Serialize;

/// The first thing found wrong. Field names are those of the protocol.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Fault {
    pub side: String,
    /// mismatch, poison, slack, late_write, panic, signal, timeout, sandbox, memory, arm.
    pub kind: String,
    pub combo: String,
    pub call: usize,
    pub part: usize,
    /// Byte offset of the first difference within the part.
    pub offset: usize,
    /// Differing elements, out of `total`.
    pub differs: usize,
    pub total: usize,
    pub got_hex: String,
    pub want_hex: String,
    /// The conductor's words, or untrusted text of the kernel's process.
    pub note: Option<String>,
    pub signal: Option<i32>,
    pub syscall: Option<String>,
}

impl Fault {
    /// A fault of this kind, its place yet to be filled in.
    pub fn new(kind: &str) -> Self {
        Fault { kind: kind.into(), ..Fault::default() }
    }

    /// The same with the conductor's words.
    pub fn with_note(kind: &str, note: impl Into<String>) -> Self {
        Fault { kind: kind.into(), note: Some(note.into()), ..Fault::default() }
    }
}

/// Why a command ended before its end.
#[derive(Debug)]
pub enum Stop {
    /// The kernel is at fault.
    Fault(Box<Fault>),
    /// Nobody is: the pair does not count.
    Void(String),
    /// The command could not be carried out.
    Error(String),
}

impl From<String> for Stop {
    fn from(text: String) -> Self {
        Stop::Error(text)
    }
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Stop::Fault(Box::new(fault))
    }
}

/// Lower-case hexadecimal of at most `max` bytes.
pub fn hex(bytes: &[u8], max: usize) -> String {
    bytes.iter().take(max).map(|b| format!("{b:02x}")).collect()
}
