/// Pushes the rows of a partition that the mask selects, and whose distance lies in
/// `[lower, upper)`, into the heap of the `k` nearest. `codes` is column-major: `m` columns.
pub fn filtered_topk(
    table: &[f32],
    m: usize,
    codes: &[u8],
    row_ids: &[u64],
    mask: &RowAddrMask,
    k: usize,
    lower: Option<f32>,
    upper: Option<f32>,
    heap: &mut TopK,
    dists: &mut Vec<f32>,
) {
    let calculator = PQDistCalculator {
        distance_table: table,
        pq_code: UInt8Array(codes),
        num_sub_vectors: m,
        num_bits: 8,
        distance_type: DistanceType::L2,
    };
    calculator.accumulate_filtered_topk_with_scratch(
        k,
        lower,
        upper,
        row_ids.iter().enumerate().map(|(id, &row_id)| (id as u32, row_id)),
        |row_id| mask.selected(row_id),
        heap,
        dists,
        &mut Vec::new(),
        &mut Vec::new(),
        &mut Vec::new(),
    );
}
