//! topk-merge: a row that enters replaces the root in place, one sift instead of two.

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
    let lower = OrderedFloat(lower.unwrap_or(f32::MIN));
    let upper = OrderedFloat(upper.unwrap_or(f32::MAX));
    for (&dist, &id) in dists.iter().zip(row_ids) {
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
