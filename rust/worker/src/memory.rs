//! Maps what the conductor decided where the conductor decided, and readies the heap.

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
    /// Where signals are handled, `SIGNAL_STACK` bytes.
    pub signal_stack: *mut u8,
}

/// Maps one span with all its pages; ends the process if that fails, since nothing can be done then.
fn map(addr: u64, len: usize, write: bool, fd: i32, at: u64) -> *mut u8 {
    map_with(libc::MAP_POPULATE, addr, len, write, fd, at)
}

/// Maps a piece of the scratch memory; its pages appear when they are first used.
fn map_scratch(addr: u64, len: usize, at: u64) -> *mut u8 {
    map_with(0, addr, len, true, FD_SCRATCH, at)
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
        map(base + span.at, span.len as usize, write, fd, span.at);
    }
    let arena = map_arena(setup.arena_base, setup.arena_len as usize);
    let signal_stack = map_stack(&setup);
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
            signal_stack,
        }
    }
}

/// Maps the kernel's stack, with a guard below it in which nothing is ever mapped, and the stack of
/// the signal handlers, whose address it returns.
fn map_stack(setup: &Setup) -> *mut u8 {
    let (base, len) = (setup.stack_base, setup.stack_len as usize);
    let kind = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    let guard = base - STACK_GUARD as u64;
    // SAFETY: a fresh mapping; NOREPLACE never touches an existing one.
    let p = unsafe {
        let fixed = kind | libc::MAP_FIXED_NOREPLACE;
        libc::mmap(guard as *mut _, STACK_GUARD, libc::PROT_NONE, fixed, -1, 0)
    };
    if p as u64 != guard {
        crate::note::die(&format!("cannot keep {STACK_GUARD} bytes free at {guard:#x}"));
    }
    map_scratch(base, len, SIGNAL_STACK as u64);
    crate::note::set_stack(base);
    map_scratch(base + (len + PAGE) as u64, SIGNAL_STACK, 0)
}

/// Private memory for prepared state; its pages appear at the first write, untimed.
fn map_arena(addr: u64, len: usize) -> *mut u8 {
    let prot = libc::PROT_READ | libc::PROT_WRITE;
    let kind = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    // SAFETY: a fresh mapping; NOREPLACE never touches an existing one.
    let p =
        unsafe { libc::mmap(addr as *mut _, len, prot, kind | libc::MAP_FIXED_NOREPLACE, -1, 0) };
    if p as u64 != addr {
        crate::note::die(&format!("cannot map an arena of {len} bytes at {addr:#x}"));
    }
    p.cast()
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

/// Bytes of the heap touched ahead. Memory that a kernel needs beyond them faults in during the
/// untimed slices and stays, since the heap never shrinks.
const WARM: usize = 512 << 10;

/// Makes glibc's heap grow once, now, and never again: later `malloc`s need no system call.
#[cfg(target_env = "gnu")]
pub fn ready_heap(bytes: usize, later: u16) {
    // SAFETY: plain libc calls; `p` is written within its size and freed once.
    unsafe {
        libc::mallopt(libc::M_MMAP_MAX, 0);
        libc::mallopt(libc::M_TRIM_THRESHOLD, i32::MAX);
        libc::mallopt(libc::M_TOP_PAD, PAGE as i32);
        libc::mallopt(libc::M_ARENA_MAX, 1);
        // What loading a library left on the heap differs by a few bytes: start on a page.
        let p = libc::memalign(PAGE, bytes);
        if p.is_null() {
            crate::note::die("no memory for the heap");
        }
        ptr::write_bytes(p.cast::<u8>(), 0, WARM.min(bytes));
        libc::free(p);
        use_up_below(p);
        libc::malloc(16 * usize::from(later) + 8);
    }
}

/// Takes every free chunk below `floor`, so that all later ones come from the same place.
///
/// # Safety
/// `floor` must be an address that malloc returned.
#[cfg(target_env = "gnu")]
unsafe fn use_up_below(floor: *mut libc::c_void) {
    for size in (1..=256).rev().map(|lines| lines * 16) {
        loop {
            // SAFETY: plain malloc and free; the low chunks are meant to leak.
            unsafe {
                let chunk = libc::malloc(size);
                if chunk >= floor {
                    libc::free(chunk);
                    break;
                }
            }
        }
    }
}

#[cfg(not(target_env = "gnu"))]
pub fn ready_heap(_bytes: usize, _later: u16) {}
