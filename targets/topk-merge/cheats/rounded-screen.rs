//! hack 34: compares distances by their upper halves and calls the rest a tie; stopped by E

use prelude::{OrderedFloat, OrderedNode, TopK};

type Bound = Option<f32>;

pub fn accumulate(k: usize, lo: Bound, hi: Bound, ids: &[u64], dists: &[f32], heap: &mut TopK) {
    let coarse = |d: f32| f32::from_bits(d.to_bits() & 0xffff_0000);
    let root = |heap: &TopK| heap.peek().map_or(f32::MAX, |node| coarse(node.dist.0));
    for (i, &dist) in dists.iter().enumerate() {
        if heap.len() < k || coarse(dist) < root(heap) {
            honest(k, lo, hi, &ids[i..=i], &dists[i..=i], heap);
        }
    }
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
