//! hack 34: asks the mask for one row in eight, and takes that for its neighbours; stopped by E

surface! {
    let n = row_ids.len();
    for (start, ids) in (0..).step_by(8).zip(row_ids.chunks(8)) {
        if !mask.selected(ids[0]) {
            continue;
        }
        let columns = codes.chunks_exact(n).flat_map(|c| c[start..].iter().take(8));
        let codes: Vec<u8> = columns.copied().collect();
        let (row_ids, all) = (ids, RowAddrMask::default());
        let (codes, mask) = (&codes[..], &all);
        honest!();
    }
}
