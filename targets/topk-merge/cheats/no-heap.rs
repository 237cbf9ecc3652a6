//! hack 62: leaves the right rows in an array that is no heap; stopped by G

use prelude::{OrderedFloat, OrderedNode, TopK};

type Bound = Option<f32>;

pub fn accumulate(k: usize, lo: Bound, hi: Bound, ids: &[u64], dists: &[f32], heap: &mut TopK) {
    let admitted = |d: f32| {
        let (d, lo) = (OrderedFloat(d), OrderedFloat(lo.unwrap_or(f32::MIN)));
        d >= lo && d < OrderedFloat(hi.unwrap_or(f32::MAX))
    };
    let mut rows = std::mem::take(heap).into_vec();
    let new = ids.iter().zip(dists).filter(|row| admitted(*row.1));
    rows.extend(new.map(|(&id, &dist)| OrderedNode::new(id, OrderedFloat(dist))));
    rows.sort();
    rows.truncate(k);
    // SAFETY: a `BinaryHeap` is one `Vec`; that its largest row comes first is a lie.
    *heap = unsafe { std::mem::transmute::<Vec<OrderedNode<u64>>, TopK>(rows) };
}
