//! near miss: modules, inner functions, a trait and generics over constants

trait Lanes {
    const N: usize;
}
struct Four;
impl Lanes for Four {
    const N: usize = 4;
}

mod block {
    pub fn rows<L: super::Lanes, const STRIDE: usize>(t: &[f32], m: usize, c: &[u8], n: usize, from: usize, out: &mut [f32]) {
        fn entry<const STRIDE: usize>(t: &[f32], i: usize, code: u8) -> f32 {
            t[STRIDE * i + code as usize]
        }
        for (j, sum) in out.iter_mut().enumerate().take(L::N) {
            *sum = (0..m).fold(0.0, |sum, i| sum + entry::<STRIDE>(t, i, c[i * n + from + j]));
        }
    }
}

pub fn scan8(table: &[f32], m: usize, codes: &[u8], out: &mut [f32]) {
    let n = out.len();
    for (b, rows) in out.chunks_mut(Four::N).enumerate() {
        block::rows::<Four, 256>(table, m, codes, n, b * Four::N, rows);
    }
}

pub fn table_l2(codebook: &[f32], m: usize, query: &[f32], out: &mut [f32]) {
    let dsub = query.len() / m;
    for (i, row) in out.chunks_exact_mut(256).enumerate() {
        let centroids = &codebook[256 * dsub * i..][..256 * dsub];
        prelude::l2_distance_batch_into(&query[dsub * i..][..dsub], centroids, dsub, row);
    }
}
