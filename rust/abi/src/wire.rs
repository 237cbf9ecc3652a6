//! Between conductor and worker: the control page, the plan, the spawner's messages.
//!
//! A slice, as the control page sees it:
//!
//! ```text
//! conductor                                  worker (asleep on `turn`)
//! cmd = op, table, ranges; turn += 1; wake   overwrite the scratch memory; prepare the calls; touch
//!                                            inputs, own output lines; clear the registers
//!                                            ready = turn            (spins on `go`)
//! t0; go = turn << 32 | calls                run `calls` calls
//! t1 when done == turn                       done = turn
//!                                            state = what changed of the processor; sleep on `turn`
//! requeue turn -> parked == 1: it sleeps
//! ```

use core::sync::atomic::{AtomicU32, AtomicU64};

/// Fixed descriptor numbers of a worker; the library's *name* is `/proc/self/fd/7`.
pub const FD_CONTROL: i32 = 3;
pub const FD_PLAN: i32 = 4;
pub const FD_INPUT: i32 = 5;
pub const FD_OUTPUT: i32 = 6;
pub const FD_LIBRARY: i32 = 7;
pub const FD_SCRATCH: i32 = 8;
/// The spawner's socket.
pub const FD_SPAWNER: i32 = 3;

pub const PAGE: usize = 4096;
/// Page 0 of the control memory is `Control`, page 1 `Setup` (read-only), page 2 the note.
pub const CONTROL_BYTES: usize = 3 * PAGE;
pub const SETUP_AT: usize = PAGE;
pub const NOTE_AT: usize = 2 * PAGE;
/// The scratch memory, one for each worker, holds everything that a kernel writes and that is no
/// output: the stack of the signal handlers, so long; then kernel's stack, heap and arena.
pub const SIGNAL_STACK: usize = 16 << 10;
/// Below the kernel's stack so much is never mapped.
pub const STACK_GUARD: usize = 64 << 20;
/// Operation number of an empty slice.
pub const NOP_OP: u32 = u32::MAX;

/// A cache line of its own.
#[repr(C, align(64))]
pub struct Line<T>(pub T);

/// Words by which a worker sleeps.
#[repr(C)]
pub struct Turn {
    /// Number of the slice; the worker sleeps while it has not changed.
    pub turn: AtomicU32,
    /// Futex onto which the conductor moves the sleeper: moving one proves that it sleeps.
    pub parked: AtomicU32,
}

/// The line whose two stores are timed.
#[repr(C)]
pub struct Shot {
    /// `turn << 32 | calls`.
    pub go: AtomicU64,
    pub done: AtomicU32,
}

/// The armed window. All addresses are the worker's.
#[repr(C)]
pub struct Command {
    pub op: AtomicU32,
    /// Ranges to read (inputs and tables).
    pub n_in: AtomicU32,
    /// Ranges of outputs to own.
    pub n_out: AtomicU32,
    /// Ranges of scratch memory to overwrite, and the byte to overwrite them with.
    pub n_wipe: AtomicU32,
    pub fill: AtomicU32,
    /// Calls in the table; *go* asks for as many or fewer.
    pub armed: AtomicU32,
    /// 1: the processor's state is compared after each call, not only after the last one.
    pub watched: AtomicU32,
    /// `RawCall` array.
    pub calls: AtomicU64,
    /// `Range` arrays.
    pub ins: AtomicU64,
    pub outs: AtomicU64,
    pub wipes: AtomicU64,
}

/// Page 0 of the control memory, a line for each field; the conductor clears the rest of each.
#[repr(C)]
pub struct Control {
    pub turn: Line<Turn>,
    pub shot: Line<Shot>,
    pub ready: Line<AtomicU32>,
    pub command: Line<Command>,
    /// What the slice changed of the processor's state: `(call + 1) << 32 | changes`, 0 for nothing.
    pub state: Line<AtomicU64>,
}

/// A span of the worker's memory.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Range {
    pub addr: u64,
    pub len: u64,
}

/// A span to map before the library is loaded; its file offset is `addr` minus the base.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Span {
    /// 0 inputs (read-only), 1 outputs.
    pub which: u64,
    /// Offset from the base of its memory, in bytes; a multiple of the page.
    pub at: u64,
    pub len: u64,
}

/// Page 1 of the control memory: the data that a worker needs to start.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    pub version: u64,
    /// Features word handed to the library.
    pub features: u64,
    /// 1: load the library; 0: only empty slices are run.
    pub library: u64,
    /// Where plan, inputs and outputs are mapped.
    pub plan_base: u64,
    pub plan_len: u64,
    pub in_base: u64,
    pub out_base: u64,
    /// Memory for the state prepared before a slice.
    pub arena_base: u64,
    pub arena_len: u64,
    /// Stack on which the kernel runs; it begins at its end.
    pub stack_base: u64,
    pub stack_len: u64,
    /// Memory of the kernel's heap.
    pub heap_base: u64,
    pub heap_len: u64,
    /// `Span`s at the start of the plan.
    pub n_spans: u64,
    /// Random places in the worker; see `Layout`.
    pub layout: Layout,
}

/// Where stack, library and heap of a worker lie: drawn once a pair, the same on both sides.
///
/// If the system chose, each process would draw its own, and one loop in two would be 15 % faster
/// or slower for the life of its process (upstream's heap loop: 9 % a pair, 0.3 % with this).
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Layout {
    /// Lines of 16 bytes by which the stack starts lower: 0 to 255.
    pub stack: u16,
    /// Pages by which the library lies lower: 0 to 255.
    pub library: u16,
    /// Lines of 16 bytes by which the heap starts later: 0 to 255.
    pub heap: u16,
    pub pad: u16,
}

/// Conductor to spawner; six descriptors ride along.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct SpawnRequest {
    pub id: u32,
    pub core: u32,
    /// Bytes of stack that the worker's own set-up may use.
    pub stack: u64,
}

/// Spawner (or the child before its exec) to conductor.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Event {
    /// 1: the child is about to exec (its pidfd rides along); 2: it ended; 3: no fork;
    /// 4: the spawner is up.
    pub kind: u32,
    pub id: u32,
    /// Status as `waitpid` gives it, or errno.
    pub status: i32,
    pub pad: u32,
    /// User plus system time, microseconds.
    pub cpu_us: u64,
    /// Peak resident memory, KiB.
    pub peak_kib: u64,
}

pub const EVENT_BORN: u32 = 1;
pub const EVENT_ENDED: u32 = 2;
pub const EVENT_NO_FORK: u32 = 3;
pub const EVENT_UP: u32 = 4;

/// Where a worker sees the pieces of its scratch memory: (offset in it, address, length).
pub fn scratch_pieces(setup: &Setup) -> [(u64, u64, u64); 4] {
    let signals = SIGNAL_STACK as u64;
    let (stack, heap) = (signals + setup.stack_len, setup.heap_len);
    [
        (0, setup.stack_base + setup.stack_len + PAGE as u64, signals),
        (signals, setup.stack_base, setup.stack_len),
        (stack, setup.heap_base, heap),
        (stack + heap, setup.arena_base, setup.arena_len),
    ]
}
