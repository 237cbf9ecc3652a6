//! What `accumulate_distances_into_heap` needs besides itself: Lance's ordered node, and its heap.

mod graph {
    extract!("lance-index/vector/graph.rs");
}

pub use graph::{OrderedFloat, OrderedNode};
pub use std::collections::BinaryHeap;

/// The state of a query: a max-heap of its `k` nearest rows, the farthest on top.
pub type TopK = BinaryHeap<OrderedNode<u64>>;

/// What exists before a query's partition is scanned. Runs before the clock starts.
pub mod prepare {
    use super::{OrderedFloat, OrderedNode, TopK};

    /// The heap as earlier partitions left it. The array given is that heap's own, and `from` moves
    /// nothing in an array that is a heap already. Its capacity is drawn: Lance asks for k, and a heap
    /// that was read out and is filled again has what it had.
    pub fn earlier_heap(inputs: &lar_shim::Inputs) -> TopK {
        let rows = inputs.u64s(3).iter().zip(inputs.f32s(4));
        let node = |(&id, &dist): (&u64, &f32)| OrderedNode::new(id, OrderedFloat(dist));
        let mut array = Vec::with_capacity(inputs.u64s(8)[0] as usize);
        array.extend(rows.map(node));
        TopK::from(array)
    }
}
