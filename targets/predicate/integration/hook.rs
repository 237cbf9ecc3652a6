//! Lance's call site of this target, in lance-index: the filtered top-k of 8-bit PQ by L2. Lance passes
//! an iterator of ids and a closure over the mask; the target takes a slice and the mask itself, so
//! the search lends both while it runs.

use crate::Slot;
use std::cell::Cell;

/// Table, m, codes, row ids, mask, k, lower bound, upper bound, heap, scratch. The mask is a
/// `&RowAddrMask` of lance-select, the heap a `&mut BinaryHeap<OrderedNode<u64>>` of lance-index: types
/// that this crate does not know.
pub type FilteredTopk = fn(
    &[f32],
    usize,
    &[u8],
    &[u64],
    *const (),
    usize,
    Option<f32>,
    Option<f32>,
    *mut (),
    &mut Vec<f32>,
);

pub static FILTERED_TOPK: Slot<FilteredTopk> = Slot::new();

#[derive(Clone, Copy)]
struct Loan {
    ids: *const u64,
    count: usize,
    mask: *const (),
}

const NOTHING: Loan = Loan { ids: std::ptr::null(), count: 0, mask: std::ptr::null() };

thread_local! {
    static LENT: Cell<Loan> = const { Cell::new(NOTHING) };
}

/// Ids and mask lent to the calls of this thread until it is dropped. It borrows the mask.
pub struct Lent<'a, M>(std::marker::PhantomData<&'a M>);

/// Lends the ids of a partition of `count` rows, if they lie in memory one after the other, and the
/// mask of the query.
#[inline]
pub fn lend<'a, M>(
    mut ids: impl Iterator<Item = &'a u64>,
    count: usize,
    mask: &'a M,
) -> Option<Lent<'a, M>> {
    FILTERED_TOPK.get()?;
    let first: *const u64 = ids.next()?;
    let last: *const u64 = ids.last().map_or(first, |last| last);
    if count == 0 || last.addr() != first.addr().checked_add(8 * (count - 1))? {
        return None;
    }
    LENT.set(Loan { ids: first, count, mask: std::ptr::from_ref(mask).cast() });
    Some(Lent(std::marker::PhantomData))
}

impl<M> Drop for Lent<'_, M> {
    fn drop(&mut self) {
        LENT.set(NOTHING);
    }
}

/// Whether the slot's function did the work: it is set, and ids for exactly these codes are lent.
#[inline]
pub fn filtered_topk<H>(
    table: &[f32],
    m: usize,
    codes: &[u8],
    k: usize,
    bounds: (Option<f32>, Option<f32>),
    heap: &mut H,
    dists: &mut Vec<f32>,
) -> bool {
    let Some(function) = FILTERED_TOPK.get() else { return false };
    let loan = LENT.get();
    if loan.ids.is_null() || loan.count.checked_mul(m) != Some(codes.len()) {
        return false;
    }
    // SAFETY: `lend` checked that the ids lie there; the lender's borrow outlives the call.
    let ids = unsafe { std::slice::from_raw_parts(loan.ids, loan.count) };
    let heap = std::ptr::from_mut(heap).cast();
    function(table, m, codes, ids, loan.mask, k, bounds.0, bounds.1, heap, dists);
    true
}
