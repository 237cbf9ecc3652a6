//! hack 34: takes the first k admitted rows and never replaces one; stopped by E

use prelude::{OrderedFloat, OrderedNode, TopK};

type Bound = Option<f32>;

pub fn accumulate(k: usize, lo: Bound, hi: Bound, ids: &[u64], dists: &[f32], heap: &mut TopK) {
    let free = k.saturating_sub(heap.len());
    let admitted = |d: f32| d >= lo.unwrap_or(f32::MIN) && d < hi.unwrap_or(f32::MAX);
    for (&id, &dist) in ids
        .iter()
        .zip(dists)
        .filter(|row| admitted(*row.1))
        .take(free)
    {
        heap.push(OrderedNode::new(id, OrderedFloat(dist)));
    }
}
