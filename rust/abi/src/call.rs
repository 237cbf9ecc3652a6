//! What a worker hands to a kernel library: one call, its buffers, its slot header.
//!
//! Included by path into the shim, so that plain `rustc` can compile the shim alone.

/// Output parts one call may have.
pub const MAX_PARTS: usize = 7;
/// Bytes of a slot header: one cache line.
pub const HEADER_BYTES: usize = 64;
/// Text a panic may leave behind.
pub const NOTE_TEXT: usize = 1024;
/// Version of everything in this file.
pub const VERSION: u32 = 3;

/// One input buffer.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct RawSlice {
    pub ptr: *const u8,
    pub len: usize,
}

/// One output buffer and its capacity in bytes.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct RawPart {
    pub ptr: *mut u8,
    pub cap: usize,
}

/// One call; everything it points at outlives it.
#[repr(C)]
pub struct RawCall {
    pub n_args: usize,
    pub args: *const RawSlice,
    pub n_parts: usize,
    pub parts: *const RawPart,
    pub header: *mut SlotHeader,
    /// The state that `lar_prepare_v1` built for this call.
    pub prepared: *mut Prepared,
}

/// The state of one call, built before the clock started; it lies at the start of the arena.
#[repr(C)]
pub struct Prepared {
    /// The call's own state; null once the call has taken it.
    pub own: *mut u8,
    /// State that calls of the slice share, read-only.
    pub shared: *const u8,
}

/// First line of an output slot: how the call ended and how many bytes it wrote per part.
#[repr(C, align(64))]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SlotHeader {
    /// 0 for success, else the error kind the contract chose.
    pub status: u64,
    /// Bytes written per part.
    pub len: [u64; MAX_PARTS],
}

/// What a library receives once, before its first call.
#[repr(C)]
pub struct Init {
    pub version: u32,
    /// The features word, on a read-only page.
    pub features: *const u64,
    /// Where a panic leaves its place.
    pub note: *mut Note,
    /// Memory for prepared state, at the same address on both sides of a pair.
    pub arena: *mut u8,
    pub arena_len: usize,
    /// Memory of the kernel's heap, the same.
    pub heap: *mut u8,
    pub heap_len: usize,
}

/// The note page: read by the conductor after the worker's death, and shown as untrusted.
#[repr(C)]
pub struct Note {
    /// One of the `NOTE_*` kinds.
    pub kind: u32,
    /// The number of the refused system call, or of the signal.
    pub value: u32,
    /// Bytes of `text` in use.
    pub len: u32,
    pub text: [u8; NOTE_TEXT],
}

pub const NOTE_NONE: u32 = 0;
pub const NOTE_PANIC: u32 = 1;
pub const NOTE_SYSCALL: u32 = 2;
pub const NOTE_LOAD: u32 = 3;
pub const NOTE_SIGNAL: u32 = 4;
pub const NOTE_STACK: u32 = 5;
pub const NOTE_MEMORY: u32 = 6;

/// Exit statuses by which a worker says why it ended (a courtesy: kernels can forge them).
pub const EXIT_PANIC: i32 = 96;
pub const EXIT_SYSCALL: i32 = 97;
pub const EXIT_LOAD: i32 = 98;
pub const EXIT_SIGNAL: i32 = 99;
pub const EXIT_STACK: i32 = 100;
pub const EXIT_MEMORY: i32 = 101;

/// CPU features a kernel may ask for. The number is the bit in the features word.
#[repr(u32)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Feature {
    Sse42 = 0,
    Popcnt = 1,
    Avx = 2,
    Avx2 = 3,
    Fma = 4,
    F16c = 5,
    Bmi1 = 6,
    Bmi2 = 7,
    Avx512f = 8,
    Avx512bw = 9,
    Avx512vl = 10,
    Avx512dq = 11,
    Avx512cd = 12,
    Avx512vbmi = 13,
    Avx512vbmi2 = 14,
    Avx512vnni = 15,
    Avx512bitalg = 16,
    Avx512vpopcntdq = 17,
    Avx512ifma = 18,
    Gfni = 19,
    Vaes = 20,
    Vpclmulqdq = 21,
    Avx512bf16 = 22,
    Avx512fp16 = 23,
    Neon = 32,
    Fp16 = 33,
    Dotprod = 34,
    Sve = 35,
    Sve2 = 36,
    I8mm = 37,
}

impl Feature {
    /// The feature's bit in the features word.
    pub const fn bit(self) -> u64 {
        1 << (self as u32)
    }
}

/// `lar_call_v1` and `lar_nop_v1` of a library.
pub type CallFn = unsafe extern "C" fn(op: u32, call: *const RawCall);
/// `lar_prepare_v1` of a library: makes `n` calls ready, returns the bytes of the arena in use.
pub type PrepareFn = unsafe extern "C" fn(op: u32, calls: *const RawCall, n: usize) -> usize;
/// `lar_init_v1` of a library.
pub type InitFn = unsafe extern "C" fn(init: *const Init);
