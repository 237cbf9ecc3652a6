use prelude::{OrderedNode, TopK};
use std::mem::{offset_of, size_of};

/// How the heap lies in memory here; Lance's must lie the same way.
#[unsafe(no_mangle)]
pub fn lar_accumulate_layout() -> [usize; 4] {
    type Node = OrderedNode<u64>;
    [size_of::<TopK>(), size_of::<Node>(), offset_of!(Node, id), offset_of!(Node, dist)]
}

#[unsafe(no_mangle)]
pub fn lar_accumulate(
    k: usize,
    lower: Option<f32>,
    upper: Option<f32>,
    row_ids: &[u64],
    dists: &[f32],
    heap: *mut (),
) {
    // SAFETY: Lance's `&mut BinaryHeap<OrderedNode<u64>>`, whose layout was compared at loading.
    let heap = unsafe { &mut *heap.cast::<TopK>() };
    kernels::accumulate(k, lower, upper, row_ids, dists, heap);
}
