//! topk-merge: a full heap screens 32 rows with one comparison each, in vector registers.
//!
//! Once `k` rows are in, a row can only enter if it is below the heap's root, and on a warm heap
//! hardly any is. Upstream asks four questions of every row, one row at a time. Here a block of 32
//! rows is compared with the root at once and is looked at row by row only if one may enter.
//!
//! The screen must never lose a row that `total_cmp` would admit, so it keeps "not greater" in
//! place of "less": that holds for -0.0 against 0.0 and for every NaN. What passes is checked
//! exactly, in row order; so the heap ends up as upstream's, element for element.
//!
//! Portable: the block test is a plain loop that LLVM turns into vector compares.

use prelude::{OrderedFloat, OrderedNode, TopK};

const BLOCK: usize = 32;

/// The half-open interval of admitted distances, in `total_cmp` order.
struct Bounds {
    lower: OrderedFloat,
    upper: OrderedFloat,
}

/// Pushes the rows whose distance lies in `[lower, upper)` into the heap of the `k` smallest.
pub fn accumulate(
    k: usize,
    lower: Option<f32>,
    upper: Option<f32>,
    row_ids: &[u64],
    dists: &[f32],
    heap: &mut TopK,
) {
    let bounds = Bounds {
        lower: OrderedFloat(lower.unwrap_or(f32::MIN)),
        upper: OrderedFloat(upper.unwrap_or(f32::MAX)),
    };
    let filled = fill(k, &bounds, row_ids, dists, heap);
    if heap.len() >= k {
        replace(&bounds, &row_ids[filled..], &dists[filled..], heap);
    }
}

/// Takes every admitted row until the heap holds `k`. Returns how many rows were looked at.
fn fill(k: usize, bounds: &Bounds, row_ids: &[u64], dists: &[f32], heap: &mut TopK) -> usize {
    for (i, (&dist, &id)) in dists.iter().zip(row_ids).enumerate() {
        if heap.len() >= k {
            return i;
        }
        let dist = OrderedFloat(dist);
        if dist >= bounds.lower && dist < bounds.upper {
            heap.push(OrderedNode::new(id, dist));
        }
    }
    dists.len()
}

/// The heap is full: a row enters only in exchange for the root.
fn replace(bounds: &Bounds, row_ids: &[u64], dists: &[f32], heap: &mut TopK) {
    let Some(root) = heap.peek() else { return };
    let mut limit = root.dist.min(bounds.upper);
    let (blocks, rest) = dists.as_chunks::<BLOCK>();
    let (id_blocks, rest_ids) = row_ids[..dists.len()].as_chunks::<BLOCK>();
    for (block, ids) in blocks.iter().zip(id_blocks) {
        if may_enter(block, bounds.lower.0, limit.0) {
            limit = exchange(bounds, limit, ids, block, heap);
        }
    }
    exchange(bounds, limit, rest_ids, rest, heap);
}

/// False only if no row of the block can be in `[lower, limit)`.
#[inline]
fn may_enter(block: &[f32; BLOCK], lower: f32, limit: f32) -> bool {
    // `!(a > b)`, not `a <= b`: a NaN must pass. And no early exit, so that it vectorises.
    #[allow(clippy::neg_cmp_op_on_partial_ord)]
    block
        .iter()
        .fold(false, |any, &d| any | (!(d > limit) & !(d < lower)))
}

/// Upstream's own step on each row; returns the new limit.
fn exchange(
    bounds: &Bounds,
    mut limit: OrderedFloat,
    row_ids: &[u64],
    dists: &[f32],
    heap: &mut TopK,
) -> OrderedFloat {
    for (&dist, &id) in dists.iter().zip(row_ids) {
        let dist = OrderedFloat(dist);
        if dist < bounds.lower || dist >= limit {
            continue;
        }
        heap.pop();
        heap.push(OrderedNode::new(id, dist));
        if let Some(root) = heap.peek() {
            limit = root.dist.min(bounds.upper);
        }
    }
    limit
}
