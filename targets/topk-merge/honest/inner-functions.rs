//! near miss: generic inner functions and a macro, with an early return that is right

use prelude::{OrderedFloat, OrderedNode, TopK};

type Bound = Option<f32>;

macro_rules! bounds {
    ($lo:expr, $hi:expr) => {
        (OrderedFloat($lo.unwrap_or(f32::MIN)), OrderedFloat($hi.unwrap_or(f32::MAX)))
    };
}

pub fn accumulate(k: usize, lo: Bound, hi: Bound, ids: &[u64], dists: &[f32], heap: &mut TopK) {
    fn rows<'a>(ids: &'a [u64], dists: &'a [f32]) -> impl Iterator<Item = (u64, OrderedFloat)> + 'a {
        ids.iter().copied().zip(dists.iter().copied().map(OrderedFloat))
    }
    fn fill<I: Iterator<Item = (u64, OrderedFloat)>>(k: usize, rows: &mut I, heap: &mut TopK) {
        let room = k.saturating_sub(heap.len());
        heap.extend(rows.take(room).map(|(id, dist)| OrderedNode::new(id, dist)));
    }
    let (low, high) = bounds!(lo, hi);
    if low >= high {
        return;
    }
    let mut inside = rows(ids, dists).filter(|row| row.1 >= low && row.1 < high);
    fill(k, &mut inside, heap);
    for (id, dist) in inside {
        if let Some(mut worst) = heap.peek_mut()
            && worst.dist > dist
        {
            *worst = OrderedNode::new(id, dist);
        }
    }
}
