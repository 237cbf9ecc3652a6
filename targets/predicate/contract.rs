//! How Lance searches one partition of a filtered query over 8-bit product-quantized rows.
//!
//! One call is one partition. Mask, heap and scratch exist before the clock starts: the mask is made
//! once for all calls of a slice that have it, as one search makes it once for all partitions; the
//! heap is that of the partitions before; the scratch is empty and has room for the partition's
//! distances. The heap is read out as its array lies; the array's order is no part of the result:
//! rows are sorted before they are compared, outside the time.
//! Checked calls may have rows behind the partition, which other readers of Lance take in by push and
//! pop: what a kernel leaves must be a heap. Timed calls have none.

use lar_shim::Call;
use prelude::{OrderedFloat, OrderedNode, RowAddrMask, TopK};

/// Arguments: k u64, lower f32[0 or 1], upper f32[0 or 1], heap ids u64[h], heap distances f32[h],
/// table f32[m * 256], codes u8[m * n] column-major, row ids u64[n], mask bytes (see
/// `prepare::mask`), further ids u64[r], further distances f32[r].
/// Outputs: distances f32[rows], ids u64[rows] of the heap.
pub fn filtered_topk(call: &mut Call, query: (TopK, Vec<f32>), mask: &RowAddrMask) {
    let (mut heap, mut dists) = query;
    let k = call.u64(0) as usize;
    let (lower, upper) = (call.f32s(1).first().copied(), call.f32s(2).first().copied());
    let (table, codes, ids) = (call.f32s(5), call.bytes(6), call.u64s(7));
    let m = table.len() / 256;
    kernels::filtered_topk(table, m, codes, ids, mask, k, lower, upper, &mut heap, &mut dists);
    for (&id, &dist) in call.u64s(9).iter().zip(call.f32s(10)).filter(|_| k > 0) {
        let row = OrderedNode::new(id, OrderedFloat(dist));
        if heap.len() < k || heap.peek().is_some_and(|worst| row < *worst) {
            heap.push(row);
        }
        while heap.len() > k {
            heap.pop();
        }
    }
    read_out(call, heap);
}

fn read_out(call: &mut Call, heap: TopK) {
    let (dists, ids) = (call.out_f32s(0), call.out_u64s(1));
    // More rows than fit is the kernel's fault and may not pass for fewer.
    assert!(heap.len() <= dists.len(), "heap of {} rows", heap.len());
    for ((row, dist), id) in heap.iter().zip(&mut *dists).zip(&mut *ids) {
        (*dist, *id) = (row.dist.0, row.id);
    }
    call.set_len(0, 4 * heap.len());
    call.set_len(1, 8 * heap.len());
}

lar_shim::ops!(filtered_topk(own query, shared mask from 8));
