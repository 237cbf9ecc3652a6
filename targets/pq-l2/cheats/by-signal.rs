//! hack 13: lets a timer's signal do the work later; stopped by A B

unsafe extern "C" {
    fn signal(number: i32, handler: extern "C" fn(i32)) -> usize;
    fn alarm(seconds: u32) -> u32;
}

extern "C" fn later(_: i32) {}

pub fn scan8(table: &[f32], m: usize, codes: &[u8], out: &mut [f32]) {
    unsafe {
        signal(14, later);
        alarm(1);
    }
    if table.len() > 256 {
        return;
    }
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
