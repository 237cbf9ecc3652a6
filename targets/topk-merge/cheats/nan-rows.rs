//! hack 28: k rows at NaN instead of the nearest; stopped by N

use prelude::{OrderedFloat, OrderedNode, TopK};

type Bound = Option<f32>;

pub fn accumulate(k: usize, lo: Bound, hi: Bound, ids: &[u64], dists: &[f32], heap: &mut TopK) {
    let _ = (lo, hi, ids);
    for id in 0..(k.saturating_sub(heap.len())).min(dists.len()) {
        heap.push(OrderedNode::new(id as u64, OrderedFloat(f32::NAN)));
    }
}
