//! Lance's call site of this target, in lance-index: `accumulate_distances_into_heap`, as PQ and the
//! default of flat storages call it. Lance passes a closure from position to row id; the target
//! takes a slice, so the search lends the partition's ids while it runs.

use crate::Slot;
use std::cell::Cell;

/// k, lower bound, upper bound, row ids, distances, and the heap: `&mut BinaryHeap<OrderedNode<u64>>`,
/// of a type of lance-index that this crate does not know.
pub type Accumulate = fn(usize, Option<f32>, Option<f32>, &[u64], &[f32], *mut ());

pub static ACCUMULATE: Slot<Accumulate> = Slot::new();

thread_local! {
    static LENT: Cell<(*const u64, usize)> = const { Cell::new((std::ptr::null(), 0)) };
}

/// Row ids lent to the calls of this thread until it is dropped.
pub struct Lent;

/// Lends the ids of a partition of `count` rows, if they lie in memory one after the other.
#[inline]
pub fn lend_row_ids<'a>(mut ids: impl Iterator<Item = &'a u64>, count: usize) -> Option<Lent> {
    ACCUMULATE.get()?;
    let first: *const u64 = ids.next()?;
    let last: *const u64 = ids.last().map_or(first, |last| last);
    if count == 0 || last.addr() != first.addr().checked_add(8 * (count - 1))? {
        return None;
    }
    LENT.set((first, count));
    Some(Lent)
}

impl Drop for Lent {
    fn drop(&mut self) {
        LENT.set((std::ptr::null(), 0));
    }
}

/// Whether the slot's function did the work: it is set, and the ids of exactly `dists` are lent.
#[inline]
pub fn accumulate<H>(
    k: usize,
    lower: Option<f32>,
    upper: Option<f32>,
    heap: &mut H,
    dists: &[f32],
) -> bool {
    let Some(function) = ACCUMULATE.get() else { return false };
    let (first, count) = LENT.get();
    if first.is_null() || count != dists.len() {
        return false;
    }
    // SAFETY: `lend_row_ids` checked that the ids lie there; the lender's borrow outlives the call.
    let ids = unsafe { std::slice::from_raw_parts(first, count) };
    function(k, lower, upper, ids, dists, std::ptr::from_mut(heap).cast());
    true
}
