//! How Lance merges the distances of probed partitions into the top-k heap of a query.
//!
//! One call is one query: the heap starts empty, or as earlier partitions left it, takes in every
//! partition in turn and is then read out as its array lies, as Lance's reader takes it. The heap of
//! earlier partitions is prepared before the clock starts. The array's order is no part of the result:
//! rows are sorted before they are compared, outside the time.
//! Checked calls may have rows behind the last partition, which other readers of Lance take in by
//! push and pop: what a kernel leaves must be a heap. Timed calls have none.

use lar_shim::Call;
use prelude::{OrderedFloat, OrderedNode, TopK};

/// Arguments: k u64, lower f32[0 or 1], upper f32[0 or 1], heap ids u64[h], heap distances f32[h],
/// ends of the partitions u64[p], row ids u64[n], distances f32[n], and, which no kernel gets,
/// the rows for which the heap has room, u64.
/// Outputs: distances f32[rows], ids u64[rows] of the heap.
pub fn accumulate(call: &mut Call, mut heap: TopK) {
    let k = call.u64(0) as usize;
    let (lower, upper) = (call.f32s(1).first().copied(), call.f32s(2).first().copied());
    let node = |(&id, &dist): (&u64, &f32)| OrderedNode::new(id, OrderedFloat(dist));
    let (ids, dists) = (call.u64s(6), call.f32s(7));
    let mut start = 0;
    // Lance's callers return before the merge where k is 0.
    for &end in call.u64s(5).iter().filter(|_| k > 0) {
        let rows = start..end as usize;
        start = rows.end;
        kernels::accumulate(k, lower, upper, &ids[rows.clone()], &dists[rows], &mut heap);
    }
    for row in ids[start..].iter().zip(&dists[start..]).map(node).filter(|_| k > 0) {
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

lar_shim::ops!(accumulate(own earlier_heap));
