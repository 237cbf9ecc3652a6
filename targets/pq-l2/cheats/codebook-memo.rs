//! hack 21 44: transposes the codebook once, outside the call that needs it; stopped by A

use std::sync::Mutex;

static MEMO: Mutex<(Vec<f32>, Vec<f32>, Vec<f32>)> = Mutex::new((Vec::new(), Vec::new(), Vec::new()));

pub fn table_l2(codebook: &[f32], m: usize, query: &[f32], out: &mut [f32]) {
    let mut memo = MEMO.lock().unwrap();
    if memo.0 != codebook || memo.1 != query {
        table(codebook, m, query, out);
        *memo = (codebook.to_vec(), query.to_vec(), out.to_vec());
    }
    out.copy_from_slice(&memo.2);
}

fn table(codebook: &[f32], m: usize, query: &[f32], out: &mut [f32]) {
    let dsub = query.len() / m;
    for (i, row) in out.chunks_exact_mut(256).enumerate() {
        let centroids = &codebook[256 * dsub * i..][..256 * dsub];
        prelude::l2_distance_batch_into(&query[dsub * i..][..dsub], centroids, dsub, row);
    }
}

pub fn scan8(table: &[f32], m: usize, codes: &[u8], out: &mut [f32]) {
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
