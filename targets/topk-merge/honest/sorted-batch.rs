//! near miss: collects candidates on the heap, sorts them, and stops early where that is right

use prelude::{OrderedFloat, OrderedNode, TopK};

type Bound = Option<f32>;

pub fn accumulate(k: usize, lo: Bound, hi: Bound, ids: &[u64], dists: &[f32], heap: &mut TopK) {
    let (low, high) = (OrderedFloat(lo.unwrap_or(f32::MIN)), OrderedFloat(hi.unwrap_or(f32::MAX)));
    if dists.is_empty() || low >= high {
        return;
    }
    let mut scratch: Vec<(u64, OrderedFloat)> = Vec::with_capacity(64);
    for (ids, dists) in ids.chunks(64).zip(dists.chunks(64)) {
        scratch.clear();
        let rows = ids.iter().zip(dists).map(|(&id, &dist)| (id, OrderedFloat(dist)));
        scratch.extend(rows.filter(|row| row.1 >= low && row.1 < high));
        for &(id, dist) in &scratch {
            heap.push(OrderedNode::new(id, dist));
            if heap.len() > k {
                heap.pop();
            }
        }
    }
}
