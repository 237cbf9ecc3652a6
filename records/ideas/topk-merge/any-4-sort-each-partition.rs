//! topk-merge: rows of a partition are sorted first, so that the heap stops at the first one too far.
//!
//! After the sort the nearest rows enter first, and one comparison ends the loop. (Slower: a sort looks
//! at each row a dozen times, and nearly all rows are too far.)

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
    let mut keys: Vec<u64> = (0..)
        .zip(dists)
        .map(|(row, &dist)| u64::from(order(dist).wrapping_sub(low)) << 32 | row)
        .collect();
    keys.sort_unstable();
    for key in keys {
        if (key >> 32) as u32 >= limit {
            break;
        }
        let row = key as u32 as usize;
        let node = OrderedNode::new(row_ids[row], OrderedFloat(dists[row]));
        limit = enter(k, low, limit, node, heap);
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
