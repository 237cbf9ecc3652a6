//! near miss: a list of the selected rows on the heap, then their distances, then one build of the heap

use prelude::{OrderedFloat, OrderedNode, RowAddrMask, TopK};

pub fn filtered_topk(
    table: &[f32], m: usize, codes: &[u8], ids: &[u64], mask: &RowAddrMask, k: usize,
    lower: Option<f32>, upper: Option<f32>, heap: &mut TopK, _dists: &mut Vec<f32>,
) {
    let (low, high) = (lower.unwrap_or(f32::MIN), upper.unwrap_or(f32::MAX));
    if k == 0 || ids.is_empty() {
        return;
    }
    let selected: Vec<usize> = (0..ids.len()).filter(|&row| mask.selected(ids[row])).collect();
    let mut nodes = std::mem::take(heap).into_vec();
    for row in selected {
        let mut sum = -0.0;
        for (part, column) in table.chunks_exact(256).take(m).zip(codes.chunks_exact(ids.len())) {
            sum += part[usize::from(column[row])];
        }
        let dist = OrderedFloat(sum);
        if dist >= OrderedFloat(low) && dist < OrderedFloat(high) {
            nodes.push(OrderedNode::new(ids[row], dist));
        }
    }
    if nodes.len() > k {
        nodes.select_nth_unstable(k - 1);
        nodes.truncate(k);
    }
    *heap = nodes.into();
}
