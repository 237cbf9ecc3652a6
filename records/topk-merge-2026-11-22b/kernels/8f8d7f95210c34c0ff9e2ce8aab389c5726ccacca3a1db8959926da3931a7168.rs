//! topk-merge: a full heap screens 64 rows at once; a row that enters replaces the root in place.

use prelude::{OrderedFloat, OrderedNode, TopK};

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
    let lower = OrderedFloat(lower.unwrap_or(f32::MIN));
    let upper = OrderedFloat(upper.unwrap_or(f32::MAX));
    for (dists, ids) in dists.chunks(BLOCK).zip(row_ids.chunks(BLOCK)) {
        if heap.len() >= k
            && heap.peek().is_some_and(|root| !any_below(dists, root.dist.0))
        {
            continue;
        }
        for (&dist, &id) in dists.iter().zip(ids) {
            let dist = OrderedFloat(dist);
            if dist < lower || dist >= upper {
                continue;
            }
            if heap.len() < k {
                heap.push(OrderedNode::new(id, dist));
            } else if let Some(mut root) = heap.peek_mut()
                && dist < root.dist
            {
                *root = OrderedNode::new(id, dist);
            }
        }
    }
}

/// False only if no row is below `limit` in `total_cmp` order: "not greater", so that -0.0 and
/// NaN pass, and no early exit, so that it becomes vector compares.
#[inline]
#[allow(clippy::neg_cmp_op_on_partial_ord)]
fn any_below(dists: &[f32], limit: f32) -> bool {
    dists.iter().fold(false, |any, &d| any | !(d > limit))
}
