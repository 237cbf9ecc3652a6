//! A worker's life: map, load, fence, then one slice after another until it is killed.

use crate::lasting::Lasting;
use crate::library::Library;
use crate::memory::Memory;
use crate::{confine, fence, memory, stack, wipe};
use lar_abi::call::{CallFn, RawCall};
use lar_abi::processor;
use lar_abi::wire::*;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering, fence};

/// What a worker needs for its slices.
struct Ready {
    memory: Memory,
    library: Library,
    lasting: Lasting,
    fence: fence::Running,
}

/// Gets ready and runs slices for ever; the conductor ends the process.
pub fn worker() -> ! {
    let memory = memory::open();
    memory::lower_library(memory.setup.layout.library);
    fence::while_loading(&memory);
    let library = match memory.setup.library {
        0 => Library::none(),
        _ => Library::open(),
    };
    library.init(&memory);
    processor::clear_registers(); // what it remembers of the processor becomes read-only as well
    let fence = fence::Running::compile();
    let lasting = Lasting::list();
    confine::process();
    let ready = Ready { memory, library, lasting, fence };
    stack::enter(&ready.memory.setup, &ready, slices)
}

/// One slice after another, on the kernel's stack.
extern "C" fn slices(ready: &Ready) -> ! {
    let Ready { memory, library, lasting, fence } = ready;
    lasting.close();
    fence::while_running(fence);
    let mut turn = 0;
    loop {
        turn = sleep(memory.control, turn);
        lasting.restore();
        slice(memory, library, turn);
    }
}

/// Sleeps until the turn changes. Only FUTEX_WAIT without a timeout passes the fence.
fn sleep(control: &Control, last: u32) -> u32 {
    let turn = &control.turn.0.turn;
    loop {
        let now = turn.load(Ordering::Acquire);
        if now != last {
            return now;
        }
        // SAFETY: a futex wait on a word of our own mapping.
        unsafe {
            libc::syscall(
                libc::SYS_futex,
                turn.as_ptr(),
                libc::FUTEX_WAIT,
                last,
                std::ptr::null::<libc::timespec>(),
            );
        }
    }
}

/// One slice: prepare, touch, ready, wait for go, run, done, and what became of the processor.
#[inline(never)]
fn slice(memory: &Memory, library: &Library, turn: u32) {
    let control = memory.control;
    let command = &control.command.0;
    let op = command.op.load(Ordering::Relaxed);
    let calls = command.calls.load(Ordering::Relaxed) as *const RawCall;
    let call = if op == NOP_OP { library.nop } else { library.call };
    wipe::all(memory, command);
    if op != NOP_OP {
        let armed = command.armed.load(Ordering::Relaxed) as usize;
        // SAFETY: the conductor's table holds `armed` valid calls.
        let used = unsafe { (library.prepare)(op, calls, armed) };
        let len = used.min(memory.setup.arena_len as usize) as u64;
        touch_outputs(&[Range { addr: memory.setup.arena_base, len }]);
    }
    touch(command);
    let watched = command.watched.load(Ordering::Relaxed) != 0;
    if !cfg!(feature = "test-no-wipe") {
        processor::clear_registers();
    }
    processor::set_defaults();
    control.ready.0.store(turn, Ordering::Release);
    let shot = &control.shot.0;
    let n = loop {
        let go = shot.go.load(Ordering::Acquire);
        if (go >> 32) as u32 == turn {
            break go as u32 as usize;
        }
    };
    let mut state = 0;
    if watched {
        // SAFETY: the conductor's table holds at least `n` valid calls.
        state = unsafe { run_watched(call, op, calls, n) };
    } else {
        for i in 0..n {
            // SAFETY: the conductor's table holds at least `n` valid calls.
            unsafe { call(op, calls.add(i)) };
        }
    }
    // Drains streaming stores too: what the conductor samples at *done* is complete.
    fence(Ordering::SeqCst);
    shot.done.store(turn, Ordering::Release);
    if !watched {
        state = changed_by(n.saturating_sub(1), processor::changes());
    }
    if !cfg!(feature = "test-no-state") {
        control.state.0.store(state, Ordering::Release);
    }
}

/// Makes `n` calls, each from the processor's defaults; the first that changed them, and how.
///
/// # Safety
/// `calls` must be `n` valid calls.
unsafe fn run_watched(call: CallFn, op: u32, calls: *const RawCall, n: usize) -> u64 {
    let mut first = 0;
    for i in 0..n {
        // SAFETY: promised by the caller.
        let changes = unsafe { processor::call_watched(call, op, calls.add(i)) };
        if first == 0 {
            first = changed_by(i, changes);
        }
    }
    first
}

/// The word of `Control::state`.
fn changed_by(call: usize, changes: u32) -> u64 {
    if changes == 0 { 0 } else { (call as u64 + 1) << 32 | u64::from(changes) }
}

/// A table of the conductor, mapped read-only for the life of the process.
pub fn ranges(addr: &AtomicU64, n: &AtomicU32) -> &'static [Range] {
    let (addr, n) = (addr.load(Ordering::Relaxed), n.load(Ordering::Relaxed));
    if n == 0 {
        return &[];
    }
    // SAFETY: `n` ranges lie there.
    unsafe { std::slice::from_raw_parts(addr as *const Range, n as usize) }
}

/// Reads every line of the inputs and adds 0 to a word of every output line.
fn touch(command: &Command) {
    if cfg!(feature = "test-no-touch") {
        return;
    }
    for range in ranges(&command.ins, &command.n_in) {
        for addr in lines(range) {
            // SAFETY: an address within a mapped range.
            unsafe { (*(addr as *const AtomicU8)).load(Ordering::Relaxed) };
        }
    }
    touch_outputs(ranges(&command.outs, &command.n_out));
}

/// Adds 0 to a word of every line, so that this core owns it.
fn touch_outputs(ranges: &[Range]) {
    for addr in ranges.iter().flat_map(lines) {
        // SAFETY: an aligned word within a mapped range that this process may write.
        unsafe { (*(addr as *const AtomicU32)).fetch_add(0, Ordering::Relaxed) };
    }
}

/// First byte of each line that a range touches; the ranges start and end on whole lines
/// or within mapped pages.
fn lines(range: &Range) -> impl Iterator<Item = u64> + use<> {
    let first = range.addr & !63;
    let end = if range.len == 0 { first } else { range.addr + range.len };
    (first..end).step_by(64)
}
