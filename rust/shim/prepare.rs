//! Untimed set-up of calls, between *arm* and *ready*: the same trusted code on both sides.
//!
//! Meanwhile every allocation comes from an arena, which starts at the same address on both sides and
//! is empty again before each slice. So the kernel's own heap is where it would be without any
//! set-up. A kernel's free of arena memory is ignored; a block that it grows moves to the heap, which
//! is empty at the start of a slice as well.

use crate::abi::{Prepared, RawCall};
use crate::heap;
use crate::view::Inputs;
use core::alloc::{GlobalAlloc, Layout};
use core::mem::size_of;
use core::ptr;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::alloc::System;

static BASE: AtomicUsize = AtomicUsize::new(0);
static LEN: AtomicUsize = AtomicUsize::new(0);
/// Bytes in use, counted from the base.
static USED: AtomicUsize = AtomicUsize::new(0);
static PREPARING: AtomicBool = AtomicBool::new(false);
/// The heap is in use. Blocks of the time before (the panic hook's) are the system's.
static STARTED: AtomicBool = AtomicBool::new(false);

/// One op of a contract and what it needs made ready.
pub struct Op {
    pub run: fn(&mut crate::Call),
    /// Builds the state of one call.
    pub own: Option<fn(&Inputs) -> *mut u8>,
    /// An argument, and the builder of the state that calls share if that argument has equal bytes.
    pub shared: Option<(usize, fn(&[u8]) -> *mut u8)>,
}

/// Names the arena.
pub fn set_arena(base: *mut u8, len: usize) {
    BASE.store(base as usize, Relaxed);
    LEN.store(len, Relaxed);
}

/// Moves a value to the heap, which is the arena meanwhile.
pub fn keep<T: 'static>(value: T) -> *mut u8 {
    Box::into_raw(Box::new(value)).cast()
}

/// Makes `n` calls ready; returns the bytes of the arena in use.
///
/// # Safety
/// `calls` must be `n` valid calls, whose `prepared` lie one behind the other from the arena's base.
pub unsafe fn all(op: &Op, calls: *const RawCall, n: usize) -> usize {
    // SAFETY: a slice begins, and no state outlives a slice.
    unsafe { heap::reset() };
    STARTED.store(true, Relaxed);
    if op.own.is_none() && op.shared.is_none() {
        return 0;
    }
    USED.store(0, Relaxed);
    PREPARING.store(true, Relaxed);
    take(Layout::array::<Prepared>(n).expect("a table of calls"));
    let mut shared: Vec<(*const u8, usize, *const u8)> = Vec::new();
    for i in 0..n {
        // SAFETY: promised by the caller.
        let (raw, to) = unsafe { (&*calls.add(i), &mut *(*calls.add(i)).prepared) };
        // SAFETY: promised by the caller.
        let inputs = unsafe { Inputs::new(raw) };
        let own = op.own.map_or(ptr::null_mut(), |own| own(&inputs));
        let both = op.shared.map_or(ptr::null(), |(arg, build)| {
            let bytes = inputs.bytes(arg);
            let (at, len) = (bytes.as_ptr(), bytes.len());
            if let Some(known) = shared.iter().find(|known| (known.0, known.1) == (at, len)) {
                return known.2;
            }
            let made = build(bytes).cast_const();
            shared.push((at, len, made));
            made
        });
        *to = Prepared { own, shared: both };
    }
    drop(shared);
    PREPARING.store(false, Relaxed);
    USED.load(Relaxed)
}

/// A piece of the arena.
fn take(layout: Layout) -> *mut u8 {
    let base = BASE.load(Relaxed);
    let start = (base + USED.load(Relaxed)).next_multiple_of(layout.align());
    let used = start + layout.size() - base;
    if used > LEN.load(Relaxed) {
        PREPARING.store(false, Relaxed); // the panic's own text comes from the heap
        panic!(
            "contract: what is prepared needs more than the arena's {} bytes",
            LEN.load(Relaxed)
        );
    }
    USED.store(used, Relaxed);
    start as *mut u8
}

/// Whether a block lies in the arena.
#[inline]
fn holds(block: *mut u8) -> bool {
    (block as usize).wrapping_sub(BASE.load(Relaxed)) < LEN.load(Relaxed)
}

/// Takes from the arena while calls are prepared, from the heap at all other times.
pub struct Allocator;

// SAFETY: all sources give blocks that fit their layout and do not overlap; a block goes back to the
// source that it came from, and the arena takes none back before the next slice.
unsafe impl GlobalAlloc for Allocator {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if PREPARING.load(Relaxed) {
            return take(layout);
        }
        // SAFETY: promised by the caller; the heap is used once it has been reset.
        unsafe {
            match STARTED.load(Relaxed) {
                true => heap::take(layout),
                false => System.alloc(layout),
            }
        }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: promised by the caller; a fresh block of that size.
        unsafe {
            let block = self.alloc(layout);
            if !block.is_null() {
                block.write_bytes(0, layout.size());
            }
            block
        }
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: it came from there.
        unsafe {
            if heap::holds(block) {
                heap::give_back(block, layout);
            } else if !holds(block) {
                System.dealloc(block, layout);
            }
        }
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: alignment and size are sound, as the caller promises of both.
        unsafe {
            if heap::holds(block) {
                return heap::resize(block, layout, size);
            }
            let grown = self.alloc(Layout::from_size_align_unchecked(size, layout.align()));
            if !grown.is_null() {
                ptr::copy_nonoverlapping(block, grown, layout.size().min(size));
                self.dealloc(block, layout);
            }
            grown
        }
    }
}

const _: () = assert!(size_of::<Prepared>() == 16);
