//! Each case in a process of its own, so that a trap ends that case and no other.

use crate::case::{Case, Mode};
use crate::container::Pool;
use crate::memory;
use crate::outcome::{Outcome, report};
use lar_abi::call::{EXIT_PANIC, NOTE_TEXT, Note};
use serde_json::Value;
use std::path::Path;

/// Longest time that one case may take; an emulator is slow, an endless loop is endless.
pub const CASE_SECONDS: u32 = 300;

/// Exit statuses of the case's process.
const DIFFERENT: i32 = 1;
const FAILED: i32 = 2;

/// Plays one case: its outcome and its line. Fails where no process can be started.
pub fn run(path: &Path, case: &Case) -> Result<(Outcome, Value), String> {
    let pool = Pool::open(path)?;
    let note: *mut Note = memory::fresh(size_of::<Note>().next_multiple_of(4096), true)?.cast();
    match fork() {
        0 => play(&pool, case, note),
        -1 => Err(format!("no process: {}", std::io::Error::last_os_error())),
        child => {
            let mut status = 0;
            // SAFETY: our own child; the note page stays mapped.
            let text = unsafe {
                if libc::waitpid(child, &mut status, 0) != child {
                    return Err(format!("no status: {}", std::io::Error::last_os_error()));
                }
                let text = read(note);
                libc::munmap(note.cast(), size_of::<Note>());
                text
            };
            let (outcome, detail) = match (case.mode, explain(status, text)) {
                (Mode::Expect, (Outcome::Equal, text)) => (Outcome::Written, text),
                (_, explained) => explained,
            };
            Ok((outcome, report(&pool.combo, outcome, pool.calls.len(), &detail)))
        }
    }
}

/// The bare system call: glibc's `fork` hangs in the child under qemu-aarch64 7.2, where the handlers
/// that it runs there spin. This process has one thread, so that nothing needs them.
fn fork() -> i32 {
    // SAFETY: without flags, a child with a copy of this process's memory; it runs `play` alone.
    let child = unsafe { libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0) };
    child as i32
}

/// The child: plays, leaves a text on the note page, ends.
fn play(pool: &Pool, case: &Case, note: *mut Note) -> ! {
    // SAFETY: a plain system call; by default its signal ends the process.
    unsafe { libc::alarm(CASE_SECONDS) };
    let status = match case.play(pool, note) {
        Ok(None) => 0,
        Ok(Some(difference)) => {
            write(note, &difference);
            DIFFERENT
        }
        Err(text) => {
            write(note, &text);
            FAILED
        }
    };
    // SAFETY: ends the process without destructors, which the kernel could have registered.
    unsafe { libc::_exit(status) }
}

fn write(note: *mut Note, text: &str) {
    let bytes = &text.as_bytes()[..text.len().min(NOTE_TEXT)];
    // SAFETY: the note page is mapped for the life of the process.
    let note = unsafe { &mut *note };
    note.len = bytes.len() as u32;
    note.text[..bytes.len()].copy_from_slice(bytes);
}

/// The text on the page.
///
/// # Safety
/// `note` must be mapped, and nothing may write it meanwhile.
unsafe fn read(note: *const Note) -> String {
    // SAFETY: promised by the caller.
    let note = unsafe { &*note };
    let len = (note.len as usize).min(NOTE_TEXT);
    String::from_utf8_lossy(&note.text[..len]).into_owned()
}

/// The outcome that a process's status stands for.
fn explain(status: i32, text: String) -> (Outcome, String) {
    if libc::WIFSIGNALED(status) {
        let signal = libc::WTERMSIG(status);
        return match signal {
            libc::SIGALRM => (Outcome::Timeout, format!("longer than {CASE_SECONDS} seconds")),
            _ => (Outcome::Trap, signal_name(signal)),
        };
    }
    let outcome = match libc::WEXITSTATUS(status) {
        0 => Outcome::Equal,
        DIFFERENT => Outcome::Different,
        FAILED => Outcome::Failed,
        EXIT_PANIC => Outcome::Panic,
        other => return (Outcome::Different, format!("the process ended with status {other}")),
    };
    (outcome, text)
}

fn signal_name(signal: i32) -> String {
    match signal {
        libc::SIGILL => "SIGILL: an instruction that this processor lacks".into(),
        libc::SIGSEGV => "SIGSEGV: memory that is not there".into(),
        libc::SIGBUS => "SIGBUS".into(),
        libc::SIGABRT => "SIGABRT".into(),
        libc::SIGFPE => "SIGFPE".into(),
        other => format!("signal {other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_says_how_the_case_ended() {
        let of = |status: i32| explain(status, "text".into()).0;
        assert_eq!(of(0), Outcome::Equal);
        assert_eq!(of(DIFFERENT << 8), Outcome::Different);
        assert_eq!(of(FAILED << 8), Outcome::Failed);
        assert_eq!(of(EXIT_PANIC << 8), Outcome::Panic);
        assert_eq!(of(3 << 8), Outcome::Different, "a kernel that leaves is not equal");
        assert_eq!(of(libc::SIGILL), Outcome::Trap);
        assert_eq!(of(libc::SIGALRM), Outcome::Timeout);
    }
}
