//! Kernel of pq-l2 for tests/targets/test_emulated.py: right on a processor with AVX2, which it uses
//! without asking; on another one the scan traps.

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
#[inline(never)]
fn clear(out: &mut [f32]) {
    use core::arch::x86_64::{_mm256_set1_epi32, _mm256_storeu_si256};
    let (lines, rest) = out.as_chunks_mut::<8>();
    let zero = _mm256_set1_epi32(core::hint::black_box(0));
    for line in lines {
        // SAFETY: a line has 32 bytes.
        unsafe { _mm256_storeu_si256(line.as_mut_ptr().cast(), zero) };
    }
    rest.fill(0.0);
}

#[cfg(not(target_arch = "x86_64"))]
fn clear(out: &mut [f32]) {
    out.fill(0.0);
}

pub fn scan8(table: &[f32], m: usize, codes: &[u8], out: &mut [f32]) {
    // SAFETY: none; that is the point.
    #[allow(unused_unsafe)]
    unsafe {
        clear(out)
    };
    let rows = out.len();
    for part in 0..m {
        for (sum, &code) in out.iter_mut().zip(&codes[part * rows..]) {
            *sum += table[256 * part + code as usize];
        }
    }
}

pub fn table_l2(codebook: &[f32], m: usize, query: &[f32], out: &mut [f32]) {
    let dsub = query.len() / m;
    for (part, row) in out.chunks_exact_mut(256).enumerate() {
        let centroids = &codebook[256 * dsub * part..][..256 * dsub];
        prelude::l2_distance_batch_into(&query[dsub * part..][..dsub], centroids, dsub, row);
    }
}
