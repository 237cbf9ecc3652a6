//! topk-merge: one comparison a row for both bounds and the root, one sift for a row that enters.
//!
//! Distances become unsigned integers in `total_cmp` order, counted from the lower bound: whatever
//! is below the bound wraps to a large number. A row replaces the root in place; Lance pops and
//! pushes, which moves rows through the whole heap twice.

use prelude::{OrderedFloat, OrderedNode, TopK};

/// Takes the rows whose distance lies in `[lower, upper)` into the heap of the `k` nearest.
pub fn accumulate(
    k: usize,
    lower: Option<f32>,
    upper: Option<f32>,
    row_ids: &[u64],
    dists: &[f32],
    heap: &mut TopK,
) {
    let low = order(lower.unwrap_or(f32::MIN));
    let limit = order(upper.unwrap_or(f32::MAX)).saturating_sub(low);
    let mut limit = match heap.peek() {
        Some(root) if heap.len() >= k => limit.min(order(root.dist.0).saturating_sub(low)),
        _ => limit,
    };
    for (&id, &dist) in row_ids.iter().zip(dists) {
        if order(dist).wrapping_sub(low) < limit {
            limit = enter(k, low, limit, OrderedNode::new(id, OrderedFloat(dist)), heap);
        }
    }
}

/// Takes a row into the heap; returns the next limit.
fn enter(k: usize, low: u32, limit: u32, row: OrderedNode<u64>, heap: &mut TopK) -> u32 {
    if heap.len() < k {
        heap.push(row);
    } else if let Some(mut root) = heap.peek_mut() {
        *root = row;
    }
    match heap.peek() {
        Some(root) if heap.len() >= k => limit.min(order(root.dist.0).saturating_sub(low)),
        _ => limit,
    }
}

/// The unsigned integer whose order is `total_cmp`'s.
#[inline(always)]
fn order(dist: f32) -> u32 {
    let bits = dist.to_bits();
    bits ^ ((bits as i32 >> 31) as u32 | 1 << 31)
}
