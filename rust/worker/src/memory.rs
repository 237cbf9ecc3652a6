//! Maps what the conductor decided where the conductor decided.

use lar_abi::call::Note;
use lar_abi::wire::*;
use std::ptr;

/// The worker's view of its control memory.
pub struct Memory {
    pub control: &'static Control,
    pub setup: Setup,
    pub features: *const u64,
    pub note: *mut Note,
    pub arena: *mut u8,
    pub heap: *mut u8,
    pub heap_len: usize,
    /// Where signals are handled, `SIGNAL_STACK` bytes.
    pub signal_stack: *mut u8,
}

/// Maps one span with all its pages; ends the process if that fails, since nothing can be done then.
fn map(addr: u64, len: usize, write: bool, fd: i32, at: u64) -> *mut u8 {
    map_with(libc::MAP_POPULATE, addr, len, write, fd, at)
}

fn map_with(more: i32, addr: u64, len: usize, write: bool, fd: i32, at: u64) -> *mut u8 {
    let prot = if write { libc::PROT_READ | libc::PROT_WRITE } else { libc::PROT_READ };
    let fixed = if addr == 0 { 0 } else { libc::MAP_FIXED_NOREPLACE };
    // SAFETY: a fresh mapping; NOREPLACE never touches an existing one.
    let p = unsafe {
        libc::mmap(
            addr as *mut _,
            len,
            prot,
            libc::MAP_SHARED | more | fixed,
            fd,
            at as libc::off_t,
        )
    };
    if p == libc::MAP_FAILED || (addr != 0 && p as u64 != addr) {
        crate::note::die(&format!("cannot map {len} bytes of descriptor {fd} at {addr:#x}"));
    }
    p.cast()
}

/// Maps control, plan, inputs (read-only) and outputs, then closes their descriptors.
pub fn open() -> Memory {
    let control = map(0, PAGE, true, FD_CONTROL, 0);
    let setup_page = map(0, PAGE, false, FD_CONTROL, SETUP_AT as u64);
    let note: *mut Note = map(0, PAGE, true, FD_CONTROL, NOTE_AT as u64).cast();
    crate::note::set(note);
    // SAFETY: the conductor wrote a Setup there before the spawn.
    let setup = unsafe { *setup_page.cast::<Setup>() };
    let plan = map(setup.plan_base, setup.plan_len as usize, false, FD_PLAN, 0);
    for i in 0..setup.n_spans as usize {
        // SAFETY: the plan starts with `n_spans` spans.
        let span = unsafe { ptr::read(plan.cast::<Span>().add(i)) };
        let (base, fd) = match span.which {
            0 => (setup.in_base, FD_INPUT),
            _ => (setup.out_base, FD_OUTPUT),
        };
        let write = span.which != 0 || cfg!(feature = "test-write-inputs");
        // Pages of the outputs appear when they are first used: the conductor clears those that did.
        let populate = if span.which == 0 { libc::MAP_POPULATE } else { 0 };
        map_with(populate, base + span.at, span.len as usize, write, fd, span.at);
    }
    let [signal_stack, _, heap, arena] = map_scratch(&setup);
    for fd in [FD_CONTROL, FD_PLAN, FD_INPUT, FD_OUTPUT, FD_SCRATCH] {
        // SAFETY: our own descriptors, not used again.
        unsafe { libc::close(fd) };
    }
    // SAFETY: both pages are mapped for the life of the process and sized for their types.
    unsafe {
        Memory {
            control: &*control.cast::<Control>(),
            setup,
            features: &raw const (*setup_page.cast::<Setup>()).features,
            note,
            arena,
            heap: heap.wrapping_add(16 * usize::from(setup.layout.heap)),
            heap_len: setup.heap_len as usize - 16 * usize::from(setup.layout.heap),
            signal_stack,
        }
    }
}

/// Maps the scratch memory, with a guard below the stack in which nothing is ever mapped. Its pages
/// appear when they are first used.
fn map_scratch(setup: &Setup) -> [*mut u8; 4] {
    let kind = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    let guard = setup.stack_base - STACK_GUARD as u64;
    // SAFETY: a fresh mapping; NOREPLACE never touches an existing one.
    let p = unsafe {
        let fixed = kind | libc::MAP_FIXED_NOREPLACE;
        libc::mmap(guard as *mut _, STACK_GUARD, libc::PROT_NONE, fixed, -1, 0)
    };
    if p as u64 != guard {
        crate::note::die(&format!("cannot keep {STACK_GUARD} bytes free at {guard:#x}"));
    }
    crate::note::set_stack(setup.stack_base);
    scratch_pieces(setup)
        .map(|(at, addr, len)| map_with(0, addr, len as usize, true, FD_SCRATCH, at))
}

/// Takes some pages where the loader would put the library, so that it lies lower.
pub fn lower_library(pages: u16) {
    if pages > 0 {
        // SAFETY: a fresh mapping that no other code uses.
        unsafe {
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
            libc::mmap(ptr::null_mut(), usize::from(pages) * PAGE, libc::PROT_NONE, flags, -1, 0);
        }
    }
}
