//! near miss: scratch on the heap, aligned manually

use std::alloc::{Layout, alloc_zeroed, dealloc};

pub fn scan8(table: &[f32], m: usize, codes: &[u8], out: &mut [f32]) {
    let n = out.len().max(1);
    let layout = Layout::from_size_align(4 * n, 64).unwrap();
    // SAFETY: a layout of at least 4 bytes; freed below.
    let scratch = unsafe { std::slice::from_raw_parts_mut(alloc_zeroed(layout).cast::<f32>(), n) };
    let columns: Vec<Box<[u8]>> = codes.chunks_exact(n).map(Into::into).collect();
    for (i, column) in columns.iter().enumerate().take(m) {
        for (sum, &code) in scratch.iter_mut().zip(column) {
            *sum += table[256 * i + code as usize];
        }
    }
    out.copy_from_slice(&scratch[..out.len()]);
    // SAFETY: allocated above with this layout.
    unsafe { dealloc(scratch.as_mut_ptr().cast(), layout) };
}

pub fn table_l2(codebook: &[f32], m: usize, query: &[f32], out: &mut [f32]) {
    let dsub = query.len() / m;
    for (i, row) in out.chunks_exact_mut(256).enumerate() {
        let centroids = &codebook[256 * dsub * i..][..256 * dsub];
        prelude::l2_distance_batch_into(&query[dsub * i..][..dsub], centroids, dsub, row);
    }
}
