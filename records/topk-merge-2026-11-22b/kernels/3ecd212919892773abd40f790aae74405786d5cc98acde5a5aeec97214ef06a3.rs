//! topk-merge: first fill the heap, then screen 32 rows at once against a limit in a register.
//!
//! The screen may let a row through that does not enter, never the reverse: it asks "not
//! greater", which holds for -0.0 against 0.0 and for every NaN. What passes is compared exactly.

use prelude::{OrderedFloat, OrderedNode, TopK};

const BLOCK: usize = 32;

/// Takes the rows whose distance lies in `[lower, upper)` into the heap of the `k` nearest.
pub fn accumulate(
    k: usize,
    lower: Option<f32>,
    upper: Option<f32>,
    row_ids: &[u64],
    dists: &[f32],
    heap: &mut TopK,
) {
    let lower = OrderedFloat(lower.unwrap_or(f32::MIN));
    let upper = OrderedFloat(upper.unwrap_or(f32::MAX));
    let row_ids = &row_ids[..dists.len()];
    let mut row = 0;
    while heap.len() < k {
        let Some(&dist) = dists.get(row) else { return };
        let dist = OrderedFloat(dist);
        if dist >= lower && dist < upper {
            heap.push(OrderedNode::new(row_ids[row], dist));
        }
        row += 1;
    }
    let Some(root) = heap.peek() else { return };
    let mut limit = root.dist.min(upper);
    for (dists, ids) in dists[row..].chunks(BLOCK).zip(row_ids[row..].chunks(BLOCK)) {
        if !may_enter(dists, lower.0, limit.0) {
            continue;
        }
        for (&dist, &id) in dists.iter().zip(ids) {
            let dist = OrderedFloat(dist);
            if dist >= lower && dist < limit {
                limit = exchange(heap, OrderedNode::new(id, dist)).min(upper);
            }
        }
    }
}

/// Puts `row` in the root's place; returns the distance of the new root.
fn exchange(heap: &mut TopK, row: OrderedNode<u64>) -> OrderedFloat {
    let dist = row.dist;
    if let Some(mut root) = heap.peek_mut() {
        *root = row;
    }
    heap.peek().map_or(dist, |root| root.dist)
}

/// False only if no row is in `[lower, limit)`. No early exit: LLVM makes vector compares of it.
#[inline]
#[allow(clippy::neg_cmp_op_on_partial_ord)]
fn may_enter(dists: &[f32], lower: f32, limit: f32) -> bool {
    dists
        .iter()
        .fold(false, |any, &d| any | (!(d > limit) & !(d < lower)))
}
