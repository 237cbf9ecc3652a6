//! hack 15: the first query is computed, later ones of its size get its heap; stopped by A

use std::cell::RefCell;

use prelude::{OrderedFloat, OrderedNode, TopK};

type Bound = Option<f32>;

thread_local! {
    static LAST: RefCell<(usize, TopK)> = RefCell::default();
}

pub fn accumulate(k: usize, lo: Bound, hi: Bound, ids: &[u64], dists: &[f32], heap: &mut TopK) {
    LAST.with_borrow_mut(|last| {
        if last.0 != dists.len() {
            honest(k, lo, hi, ids, dists, heap);
            *last = (dists.len(), heap.clone());
        }
        heap.clone_from(&last.1);
    });
}

fn honest(k: usize, lower: Bound, upper: Bound, ids: &[u64], dists: &[f32], heap: &mut TopK) {
    let (low, high) = (lower.unwrap_or(f32::MIN), upper.unwrap_or(f32::MAX));
    for (&id, dist) in ids.iter().zip(dists.iter().map(|&d| OrderedFloat(d))) {
        if dist < OrderedFloat(low) || dist >= OrderedFloat(high) {
            continue;
        }
        heap.push(OrderedNode::new(id, dist));
        if heap.len() > k {
            heap.pop();
        }
    }
}
