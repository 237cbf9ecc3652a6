//! The kernel's heap: an allocator of our own in memory of its own, empty again before each slice.
//!
//! Blocks come in classes of size. A free block waits in the list of its class, and is the first to be
//! taken again; otherwise the end of the used part moves on. All of the allocator's state lies in that
//! memory too, which the worker overwrites between slices: nothing that a kernel leaves there survives,
//! be it freed, leaked or written beside its blocks. The sequence of addresses depends on nothing but
//! the sizes that one slice asks for, so it is the same on both sides of a pair.

use crate::note;
use core::alloc::Layout;
use core::ptr;
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Every block begins at a multiple of this, as with the C library.
const STEP: usize = 16;
/// Up to this size there is a class for each multiple of `STEP`; above it, four for each doubling.
const SMALL_BITS: u32 = 10;
const SMALL: usize = 1 << SMALL_BITS;
const CLASSES: usize = SMALL / STEP + 4 * (usize::BITS - SMALL_BITS) as usize;

static BASE: AtomicUsize = AtomicUsize::new(0);
static LEN: AtomicUsize = AtomicUsize::new(0);

/// The allocator's state, at the start of its memory.
#[repr(C)]
struct State {
    /// Address behind the used part.
    end: usize,
    /// The free blocks of each class; each begins with the address of the next one.
    free: [*mut Free; CLASSES],
}

#[repr(C)]
struct Free {
    next: *mut Free,
}

/// Names the heap's memory.
pub fn set(base: *mut u8, len: usize) {
    BASE.store(base as usize, Relaxed);
    LEN.store(len, Relaxed);
}

/// Makes the heap empty. What its memory holds does not matter.
///
/// # Safety
/// No block may be in use, or be used later.
pub unsafe fn reset() {
    let base = BASE.load(Relaxed);
    if base == 0 {
        return;
    }
    // SAFETY: the start of the heap's memory, aligned to 16 bytes.
    unsafe {
        let end = (base + size_of::<State>()).next_multiple_of(STEP);
        (base as *mut State).write(State { end, free: [ptr::null_mut(); CLASSES] });
    }
}

/// Whether a block lies in the heap.
#[inline]
pub fn holds(block: *mut u8) -> bool {
    (block as usize).wrapping_sub(BASE.load(Relaxed)) < LEN.load(Relaxed)
}

/// The class of a size that is not 0, and the bytes that its blocks have.
#[inline]
fn class(size: usize) -> (usize, usize) {
    let last = size - 1;
    if size <= SMALL {
        let i = last / STEP;
        return (i, (i + 1) * STEP);
    }
    let bits = usize::BITS - 1 - last.leading_zeros();
    let quarter = (last >> (bits - 2)) & 3;
    (SMALL / STEP + 4 * (bits - SMALL_BITS) as usize + quarter, (5 + quarter) << (bits - 2))
}

/// A block. The process ends if the memory is used up.
///
/// # Safety
/// `reset` must have been called, and the size not be 0.
#[inline]
pub unsafe fn take(layout: Layout) -> *mut u8 {
    let state = BASE.load(Relaxed) as *mut State;
    if layout.size() > LEN.load(Relaxed) {
        note::out_of_memory();
    }
    let (class, bytes) = class(layout.size());
    // SAFETY: the state is there, and lists hold free blocks of their class alone.
    unsafe {
        let first = (*state).free[class];
        if !first.is_null() && (first as usize).is_multiple_of(layout.align()) {
            (*state).free[class] = (*first).next;
            return first.cast();
        }
        let at = (*state).end.next_multiple_of(layout.align());
        if at + bytes > state as usize + LEN.load(Relaxed) {
            note::out_of_memory();
        }
        (*state).end = (at + bytes).next_multiple_of(STEP);
        at as *mut u8
    }
}

/// Takes a block back.
///
/// # Safety
/// It must be from take, with this layout.
#[inline]
pub unsafe fn give_back(block: *mut u8, layout: Layout) {
    let state = BASE.load(Relaxed) as *mut State;
    let (class, _) = class(layout.size());
    // SAFETY: the block has room for an address, and no other code uses it.
    unsafe {
        let block = block.cast::<Free>();
        (*block).next = (*state).free[class];
        (*state).free[class] = block;
    }
}

/// A block of another size with the same content, in place if that is possible.
///
/// # Safety
/// `block` must be from take, with this layout, and the size not be 0.
#[inline]
pub unsafe fn resize(block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
    if size > LEN.load(Relaxed) {
        note::out_of_memory();
    }
    let state = BASE.load(Relaxed) as *mut State;
    let ((old, bytes), (new, wanted)) = (class(layout.size()), class(size));
    if old == new {
        return block;
    }
    // SAFETY: as promised by the caller; the last block may end wherever the memory does.
    unsafe {
        let last = block as usize + bytes == (*state).end;
        let end = block as usize + wanted;
        if last && end <= state as usize + LEN.load(Relaxed) {
            (*state).end = end;
            return block;
        }
        let to = take(Layout::from_size_align_unchecked(size, layout.align()));
        ptr::copy_nonoverlapping(block, to, layout.size().min(size));
        give_back(block, layout);
        to
    }
}

#[cfg(test)]
mod tests {
    use super::class;

    #[test]
    fn a_class_holds_every_size_that_it_is_chosen_for() {
        let mut last = (0, 0);
        for size in 1..200_000 {
            let (i, bytes) = class(size);
            assert!(bytes >= size && bytes % 16 == 0);
            assert!(bytes <= size + size / 4 + 16);
            assert!((i, bytes) == last || (i == last.0 + 1 && size == last.1 + 1) || size == 1);
            last = (i, bytes);
        }
        assert!(class(usize::MAX >> 2).0 < super::CLASSES);
    }
}
