//! hack 34: takes the k nearest of all rows and asks the mask for those alone; stopped by E

use prelude::{OrderedFloat, OrderedNode, RowAddrMask, TopK};

pub fn filtered_topk(
    table: &[f32], m: usize, codes: &[u8], ids: &[u64], mask: &RowAddrMask, k: usize,
    lower: Option<f32>, upper: Option<f32>, heap: &mut TopK, _dists: &mut Vec<f32>,
) {
    let mut rows = std::mem::take(heap).into_vec();
    for (i, &id) in ids.iter().enumerate() {
        let dist = (0..m).fold(-0.0, |sum, j| {
            sum + table[256 * j + usize::from(codes[j * ids.len() + i])]
        });
        let dist = OrderedFloat(dist);
        if dist >= OrderedFloat(lower.unwrap_or(f32::MIN))
            && dist < OrderedFloat(upper.unwrap_or(f32::MAX))
        {
            rows.push(OrderedNode::new(id, dist));
        }
    }
    rows.sort();
    rows.truncate(k);
    rows.retain(|row| mask.selected(row.id));
    *heap = rows.into();
}
