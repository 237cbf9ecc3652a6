/// Pushes the rows whose distance lies in `[lower, upper)` into the heap of the `k` nearest.
pub fn accumulate(
    k: usize,
    lower: Option<f32>,
    upper: Option<f32>,
    row_ids: &[u64],
    dists: &[f32],
    heap: &mut TopK,
) {
    accumulate_distances_into_heap(k, lower, upper, |row| row_ids[row as usize], heap, dists);
}
