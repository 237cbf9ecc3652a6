//! From a dead worker's wait status and note to a fault, or to a pair that does not count.

use crate::fault::{Fault, FaultKind};
use crate::stop::{Void, VoidCause};
use crate::syscalls;
use lar_abi::call::*;

/// Signals that come from another process on the machine: a kernel cannot send them.
const OUTSIDE: [i32; 6] =
    [libc::SIGKILL, libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGQUIT, libc::SIGXCPU];
/// The system calls of glibc if its heap is used up.
const MEMORY: [&str; 5] = ["brk", "mmap", "munmap", "mremap", "madvise"];
/// The system call that `abort` begins with. A kernel that wants signals masked makes the same
/// call: the report names both causes, and neither kernel is kept.
const ABORT: &str = "rt_sigprocmask";

/// The fault, or `Err` with why the pair does not count.
pub fn verdict(status: i32, note: Note) -> Result<Fault, Void> {
    if libc::WIFSIGNALED(status) {
        let signal = libc::WTERMSIG(status);
        if OUTSIDE.contains(&signal) {
            let detail = format!("a worker was ended by signal {signal} from outside");
            return Err(Void::new(VoidCause::EndedFromOutside, detail));
        }
        let kind = if signal == libc::SIGSYS { FaultKind::Sandbox } else { FaultKind::Signal };
        return Ok(Fault { signal: Some(signal), ..Fault::new(kind) });
    }
    Ok(match (libc::WEXITSTATUS(status), note.kind) {
        (EXIT_PANIC, NOTE_PANIC) => {
            Fault { note: Some(text(&note)), ..Fault::new(FaultKind::Panic) }
        }
        (EXIT_SYSCALL, NOTE_SYSCALL) => refused(note.value),
        (EXIT_SIGNAL, NOTE_SIGNAL) => {
            Fault { signal: Some(note.value as i32), ..Fault::new(FaultKind::Signal) }
        }
        (EXIT_MEMORY, NOTE_MEMORY) => Fault::with_note(FaultKind::Memory, "the heap is used up"),
        (EXIT_STACK, NOTE_STACK) => Fault::new(FaultKind::Stack),
        (EXIT_LOAD, NOTE_LOAD) => {
            Fault { note: Some(text(&note)), ..Fault::new(FaultKind::Sandbox) }
        }
        (code, _) => {
            Fault::with_note(FaultKind::Sandbox, format!("the process ended by itself ({code})"))
        }
    })
}

fn refused(number: u32) -> Fault {
    let name = syscalls::name(i64::from(number));
    let fault = if MEMORY.contains(&name.as_str()) {
        Fault::with_note(FaultKind::Memory, "the heap is used up")
    } else if name == ABORT {
        let note = "abort, or a change of its signal mask";
        Fault { signal: Some(libc::SIGABRT), ..Fault::with_note(FaultKind::Signal, note) }
    } else {
        Fault { signal: Some(libc::SIGSYS), ..Fault::new(FaultKind::Sandbox) }
    };
    Fault { syscall: Some(name), ..fault }
}

/// The note's text: at most 1 KiB, no control characters.
fn text(note: &Note) -> String {
    let len = (note.len as usize).min(NOTE_TEXT);
    let text = String::from_utf8_lossy(&note.text[..len]);
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
