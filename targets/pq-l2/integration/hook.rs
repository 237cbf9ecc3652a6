//! Lance's two call sites of this target, in lance-index: `compute_pq_distance` with 8 bits, and
//! `build_distance_table_l2` with 8 bits and a codebook of f32.

use crate::Slot;

/// Table f32[m * 256], m, codes u8[m * n] column-major, out f32[n].
pub type Scan8 = fn(&[f32], usize, &[u8], &mut [f32]);
/// Codebook f32[m * 256 * dsub], m, query f32[m * dsub + tail], out f32[m * 256].
pub type TableL2 = fn(&[f32], usize, &[f32], &mut [f32]);

pub static SCAN8: Slot<Scan8> = Slot::new();
pub static TABLE_L2: Slot<TableL2> = Slot::new();

/// The table by the slot's function, or None: the slot is empty or `T` is not f32.
#[inline]
pub fn build_table_l2<T>(codebook: &[T], m: usize, query: &[T]) -> Option<Vec<f32>> {
    // Lance has codebooks of f16, bf16, f32, f64 and u8: f32 alone has this size.
    if size_of::<T>() != size_of::<f32>() {
        return None;
    }
    let function = TABLE_L2.get()?;
    // SAFETY: `T` is f32.
    let codebook = unsafe { std::slice::from_raw_parts(codebook.as_ptr().cast(), codebook.len()) };
    // SAFETY: as above.
    let query = unsafe { std::slice::from_raw_parts(query.as_ptr().cast(), query.len()) };
    let mut table = vec![0.0; m * 256];
    function(codebook, m, query, &mut table);
    Some(table)
}
