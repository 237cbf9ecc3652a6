//! topk-merge: 64 rows are screened at once: only where the least of them may enter, each is looked at.
//!
//! In a full heap hardly any row enters. The least of 64 distances takes a few vector instructions
//! and one branch, which is nearly always guessed correctly.

use prelude::{OrderedFloat, OrderedNode, TopK};

/// Rows screened at once.
const BLOCK: usize = 64;

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
    for (ids, dists) in row_ids.chunks(BLOCK).zip(dists.chunks(BLOCK)) {
        if dists.len() == BLOCK && least(low, dists.try_into().unwrap()) >= limit {
            continue;
        }
        for (&id, &dist) in ids.iter().zip(dists) {
            if order(dist).wrapping_sub(low) < limit {
                limit = enter(k, low, limit, OrderedNode::new(id, OrderedFloat(dist)), heap);
            }
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

/// The least of some distances, counted from `low`.
#[inline(always)]
fn least(low: u32, dists: &[f32; BLOCK]) -> u32 {
    dists.iter().fold(u32::MAX, |least, &dist| least.min(order(dist).wrapping_sub(low)))
}

/// The unsigned integer whose order is `total_cmp`'s.
#[inline(always)]
fn order(dist: f32) -> u32 {
    let bits = dist.to_bits();
    bits ^ ((bits as i32 >> 31) as u32 | 1 << 31)
}
