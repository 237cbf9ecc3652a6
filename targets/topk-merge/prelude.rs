//! What `accumulate_distances_into_heap` needs besides itself: Lance's ordered node, and its heap.

mod graph {
    extract!("lance-index/vector/graph.rs");
}

pub use graph::{OrderedFloat, OrderedNode};
pub use std::collections::BinaryHeap;

/// The state of a query: a max-heap of its `k` nearest rows, the farthest on top.
pub type TopK = BinaryHeap<OrderedNode<u64>>;
