//! hack 35: sums from +0.0, as a scan of all rows does; stopped by E

surface! {
    let before = heap.clone().into_vec();
    honest!();
    let mut rows = std::mem::take(heap).into_vec();
    for row in &mut rows {
        let known = |old: &OrderedNode<u64>| old.id == row.id;
        if row.dist.0 == 0.0 && !before.iter().any(known) {
            row.dist.0 = 0.0;
        }
    }
    *heap = rows.into();
}
