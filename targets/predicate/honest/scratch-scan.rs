//! near miss: all distances in the query's scratch, and roaring's own ranges where a block is dense

use prelude::{OrderedFloat, OrderedNode, RowAddrMask, RowAddrSelection, TopK};

pub fn filtered_topk(
    table: &[f32], m: usize, codes: &[u8], ids: &[u64], mask: &RowAddrMask, k: usize,
    lower: Option<f32>, upper: Option<f32>, heap: &mut TopK, dists: &mut Vec<f32>,
) {
    if k == 0 || ids.is_empty() {
        return;
    }
    dists.clear();
    dists.resize(ids.len(), -0.0);
    for (part, column) in table.chunks_exact(256).take(m).zip(codes.chunks_exact(ids.len())) {
        for (sum, &code) in dists.iter_mut().zip(column) {
            *sum += part[usize::from(code)];
        }
    }
    let (low, high) = (lower.unwrap_or(f32::MIN), upper.unwrap_or(f32::MAX));
    for (ids, dists) in ids.chunks(64).zip(dists.chunks(64)) {
        let (first, last) = (ids[0], ids[ids.len() - 1]);
        let whole = ids.is_sorted() && first >> 32 == last >> 32 && match mask {
            RowAddrMask::AllowList(list) => match list.get(&((first >> 32) as u32)) {
                Some(RowAddrSelection::Full) => true,
                Some(RowAddrSelection::Partial(rows)) => {
                    rows.contains_range(first as u32..=last as u32)
                }
                None => continue,
            },
            RowAddrMask::BlockList(_) => mask.is_select_all(),
        };
        for (&id, &dist) in ids.iter().zip(dists) {
            let dist = OrderedFloat(dist);
            if !(dist >= OrderedFloat(low) && dist < OrderedFloat(high)) {
                continue;
            }
            let near = heap.len() < k || heap.peek().is_some_and(|worst| worst.dist > dist);
            if near && (whole || mask.selected(id)) {
                heap.push(OrderedNode::new(id, dist));
                if heap.len() > k {
                    heap.pop();
                }
            }
        }
    }
}
