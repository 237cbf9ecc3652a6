//! The note page from the worker's side: why this process ends.

use lar_abi::call::*;
use lar_abi::wire::STACK_GUARD;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

static NOTE: AtomicPtr<Note> = AtomicPtr::new(std::ptr::null_mut());

/// Names the note page.
pub fn set(note: *mut Note) {
    NOTE.store(note, Ordering::Relaxed);
}

/// Writes a note without allocating; safe in a signal handler.
fn write(kind: u32, value: u32, text: &[u8]) {
    let note = NOTE.load(Ordering::Relaxed);
    if note.is_null() {
        return;
    }
    let n = text.len().min(NOTE_TEXT);
    // SAFETY: the note page is mapped for the life of the process.
    unsafe {
        (*note).kind = kind;
        (*note).value = value;
        (*note).len = n as u32;
        (&mut (*note).text)[..n].copy_from_slice(&text[..n]);
    }
}

/// Ends the worker before any kernel code ran.
pub fn die(text: &str) -> ! {
    write(NOTE_LOAD, 0, text.as_bytes());
    // SAFETY: does not return.
    unsafe { libc::_exit(EXIT_LOAD) }
}

/// Where the kernel's stack begins: faults below it, within the guard, are overflows.
static STACK: AtomicUsize = AtomicUsize::new(0);

/// Names the lowest address of the kernel's stack.
pub fn set_stack(lowest: u64) {
    STACK.store(lowest as usize, Ordering::Relaxed);
}

/// Bytes of libc's `abort` at most.
const ABORT_BYTES: usize = 1024;

/// Whether a fault comes from libc's `abort`: its lock lies in memory that is read-only (`lasting`).
fn is_abort(context: *mut libc::c_void) -> bool {
    // SAFETY: the kernel passes a ucontext_t to a handler with SA_SIGINFO.
    let machine = unsafe { (*context.cast::<libc::ucontext_t>()).uc_mcontext };
    #[cfg(target_arch = "x86_64")]
    let at = machine.gregs[libc::REG_RIP as usize] as usize;
    #[cfg(target_arch = "aarch64")]
    let at = machine.pc as usize;
    let abort = libc::abort as *const () as usize;
    (abort..abort + ABORT_BYTES).contains(&at)
}

/// SIGSEGV: tells an overflow of the stack and libc's `abort` from any other fault, and ends the
/// process.
pub extern "C" fn on_fault(signal: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the kernel passes a siginfo_t that holds the address.
    let at = unsafe { (*info).si_addr() } as usize;
    let lowest = STACK.load(Ordering::Relaxed);
    let overflow = (lowest.saturating_sub(STACK_GUARD)..lowest).contains(&at);
    let (kind, status) =
        if overflow { (NOTE_STACK, EXIT_STACK) } else { (NOTE_SIGNAL, EXIT_SIGNAL) };
    let signal = if is_abort(context) { libc::SIGABRT } else { signal };
    write(kind, signal as u32, b"");
    // SAFETY: does not return.
    unsafe { libc::_exit(status) }
}

/// SIGSYS: names the refused system call and ends the process; it never returns into it.
pub extern "C" fn on_refused(_sig: i32, info: *mut libc::siginfo_t, _ctx: *mut libc::c_void) {
    // `si_syscall` follows `si_call_addr`, which starts at byte 16 (8-byte aligned union).
    // SAFETY: the kernel passes a siginfo_t of 128 bytes.
    let nr = unsafe { *info.cast::<u8>().add(24).cast::<i32>() };
    write(NOTE_SYSCALL, nr as u32, b"");
    // SAFETY: does not return.
    unsafe { libc::_exit(EXIT_SYSCALL) }
}
