//! near miss: unrolled by a macro of its own

macro_rules! add {
    ($sum:ident, $t:ident, $c:ident, $n:ident, $row:ident; $($i:expr),*) => {
        $($sum += $t[256 * ($i) + $c[($i) * $n + $row] as usize];)*
    };
}

pub fn scan8(table: &[f32], m: usize, codes: &[u8], out: &mut [f32]) {
    let n = out.len();
    for (row, out) in out.iter_mut().enumerate() {
        let (mut sum, mut i) = (0.0f32, 0);
        while i + 4 <= m {
            add!(sum, table, codes, n, row; i, i + 1, i + 2, i + 3);
            i += 4;
        }
        while i < m {
            add!(sum, table, codes, n, row; i);
            i += 1;
        }
        *out = sum;
    }
}

pub fn table_l2(codebook: &[f32], m: usize, query: &[f32], out: &mut [f32]) {
    let dsub = query.len() / m;
    for (i, row) in out.chunks_exact_mut(256).enumerate() {
        let centroids = &codebook[256 * dsub * i..][..256 * dsub];
        prelude::l2_distance_batch_into(&query[dsub * i..][..dsub], centroids, dsub, row);
    }
}
