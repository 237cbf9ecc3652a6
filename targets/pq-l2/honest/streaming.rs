//! near miss: streaming stores where the output is aligned

pub fn scan8(table: &[f32], m: usize, codes: &[u8], out: &mut [f32]) {
    honest(table, m, codes, out);
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::*;
        // SAFETY: aligned halves of the slice only.
        let (_, whole, _) = unsafe { out.align_to_mut::<__m128>() };
        for four in whole {
            // SAFETY: `four` is aligned and in bounds; SSE is always there.
            unsafe { _mm_stream_ps((four as *mut __m128).cast(), *four) };
        }
    }
}

fn honest(table: &[f32], m: usize, codes: &[u8], out: &mut [f32]) {
    out.fill(0.0);
    let n = out.len();
    for i in 0..m {
        for (sum, &code) in out.iter_mut().zip(&codes[i * n..]) {
            *sum += table[256 * i + code as usize];
        }
    }
}

pub fn table_l2(codebook: &[f32], m: usize, query: &[f32], out: &mut [f32]) {
    let dsub = query.len() / m;
    for (i, row) in out.chunks_exact_mut(256).enumerate() {
        let centroids = &codebook[256 * dsub * i..][..256 * dsub];
        prelude::l2_distance_batch_into(&query[dsub * i..][..dsub], centroids, dsub, row);
    }
}
