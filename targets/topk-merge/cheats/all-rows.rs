//! hack 60: pushes every row and leaves the choice of k to the reader of the heap; stopped by K

use prelude::{OrderedFloat, OrderedNode, TopK};

type Bound = Option<f32>;

pub fn accumulate(k: usize, lo: Bound, hi: Bound, ids: &[u64], dists: &[f32], heap: &mut TopK) {
    let _ = k;
    let mut rows = std::mem::take(heap).into_vec();
    let admitted = |d: f32| d >= lo.unwrap_or(f32::MIN) && d < hi.unwrap_or(f32::MAX);
    for (&id, &dist) in ids.iter().zip(dists).filter(|row| admitted(*row.1)) {
        rows.push(OrderedNode::new(id, OrderedFloat(dist)));
    }
    *heap = rows.into();
}
