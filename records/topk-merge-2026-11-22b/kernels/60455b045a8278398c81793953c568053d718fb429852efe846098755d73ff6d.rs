//! topk-merge: a cold heap first asks the rows for a limit, then every row is screened against it.
//!
//! 32 lanes each take the least of every 32nd row. They are 32 different rows, so the k-th least
//! of them is no lower than the k-th least row of all: hardly more than `k` rows are below it,
//! wherever they lie, and the others need not go through the heap.
//!
//! Rows are compared as integers in `total_cmp` order, counted from the lower bound: one unsigned
//! comparison then answers for both bounds, and NaN needs no thought.

use prelude::{OrderedFloat, OrderedNode, TopK};

const BLOCK: usize = 32;

/// Up to this `k` the lanes' limit lets few more than `k` rows through.
const SMALL: usize = 16;

/// The distances that may enter: `0..span` when counted from `low`.
struct Range {
    low: u32,
    span: u32,
}

impl Range {
    fn new(lower: Option<f32>, upper: Option<f32>) -> Option<Range> {
        let low = order(lower.unwrap_or(f32::MIN));
        let high = order(upper.unwrap_or(f32::MAX));
        let span = high.checked_sub(low).filter(|&span| span > 0)?;
        Some(Range { low, span })
    }

    #[inline]
    fn place(&self, dist: f32) -> u32 {
        order(dist).wrapping_sub(self.low)
    }
}

/// The unsigned integer whose order is `total_cmp`'s.
#[inline]
fn order(dist: f32) -> u32 {
    let bits = dist.to_bits();
    bits ^ ((bits as i32 >> 31) as u32 | 1 << 31)
}

/// Takes the rows whose distance lies in `[lower, upper)` into the heap of the `k` nearest.
pub fn accumulate(
    k: usize,
    lower: Option<f32>,
    upper: Option<f32>,
    row_ids: &[u64],
    dists: &[f32],
    heap: &mut TopK,
) {
    let Some(range) = Range::new(lower, upper) else { return };
    let mut limit = range.span;
    if heap.len() >= k {
        limit = limit.min(root(&range, heap));
    } else if k <= SMALL && dists.len() > 2 * BLOCK {
        limit = limit.min(first_limit(k, &range, dists));
    }
    for (dists, ids) in dists.chunks(BLOCK).zip(row_ids.chunks(BLOCK)) {
        if !may_enter(&range, dists, limit) {
            continue;
        }
        for (&dist, &id) in dists.iter().zip(ids) {
            if range.place(dist) >= limit {
                continue;
            }
            let row = OrderedNode::new(id, OrderedFloat(dist));
            if heap.len() < k {
                heap.push(row);
            } else if let Some(mut root) = heap.peek_mut() {
                *root = row;
            }
            if heap.len() >= k {
                limit = limit.min(root(&range, heap));
            }
        }
    }
}

/// Rows must be below this to enter the full heap: nothing is below a root below `low`.
fn root(range: &Range, heap: &TopK) -> u32 {
    heap.peek()
        .map_or(0, |root| order(root.dist.0).saturating_sub(range.low))
}

/// Above the `k`-th least place of all rows, if `k` lanes met a row that is admitted.
fn first_limit(k: usize, range: &Range, dists: &[f32]) -> u32 {
    let mut lanes = [u32::MAX; BLOCK];
    for block in dists.chunks(BLOCK) {
        for (lane, &dist) in lanes.iter_mut().zip(block) {
            *lane = range.place(dist).min(*lane);
        }
    }
    let below = |place: u32| lanes.iter().filter(|&&other| other < place).count();
    let kth = lanes.iter().copied().filter(|&place| below(place) < k).max();
    kth.unwrap_or(u32::MAX).saturating_add(1)
}

/// Whether some row is below `limit`. No early exit: LLVM makes vector compares of it.
#[inline]
fn may_enter(range: &Range, dists: &[f32], limit: u32) -> bool {
    dists.iter().fold(false, |any, &d| any | (range.place(d) < limit))
}
