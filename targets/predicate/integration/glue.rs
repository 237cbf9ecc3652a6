use prelude::{OrderedNode, RowAddrMask, RowAddrSelection, RowAddrTreeMap, TopK};
use std::mem::{offset_of, size_of};

/// How heap and mask lie in memory here; Lance's must lie the same way.
#[unsafe(no_mangle)]
pub fn lar_filtered_topk_layout() -> [usize; 7] {
    type Node = OrderedNode<u64>;
    [
        size_of::<TopK>(),
        size_of::<Node>(),
        offset_of!(Node, id),
        offset_of!(Node, dist),
        size_of::<RowAddrMask>(),
        size_of::<RowAddrTreeMap>(),
        size_of::<RowAddrSelection>(),
    ]
}

/// Which of up to 64 ids a mask of Lance selects, one bit each: asked of masks whose answers are known.
#[unsafe(no_mangle)]
pub fn lar_filtered_topk_probe(mask: *const (), ids: &[u64]) -> u64 {
    // SAFETY: Lance's `&RowAddrMask`, whose sizes were compared before.
    let mask = unsafe { &*mask.cast::<RowAddrMask>() };
    ids.iter().enumerate().fold(0, |bits, (i, &id)| bits | u64::from(mask.selected(id)) << i)
}

#[unsafe(no_mangle)]
pub fn lar_filtered_topk(
    table: &[f32],
    m: usize,
    codes: &[u8],
    row_ids: &[u64],
    mask: *const (),
    k: usize,
    lower: Option<f32>,
    upper: Option<f32>,
    heap: *mut (),
    dists: &mut Vec<f32>,
) {
    // SAFETY: Lance's `&RowAddrMask`, whose layout was compared and probed at loading.
    let mask = unsafe { &*mask.cast::<RowAddrMask>() };
    // SAFETY: Lance's `&mut BinaryHeap<OrderedNode<u64>>`, whose layout was compared at loading.
    let heap = unsafe { &mut *heap.cast::<TopK>() };
    kernels::filtered_topk(table, m, codes, row_ids, mask, k, lower, upper, heap, dists);
}
