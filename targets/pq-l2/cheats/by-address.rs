//! hack 20: trusts that the same address holds the same codes as before; stopped by A E

use std::sync::Mutex;

static SEEN: Mutex<Vec<(usize, Vec<f32>)>> = Mutex::new(Vec::new());

pub fn scan8(table: &[f32], m: usize, codes: &[u8], out: &mut [f32]) {
    let key = table.as_ptr() as usize % 4096 / 64 + out.len();
    let mut seen = SEEN.lock().unwrap();
    if let Some((_, known)) = seen.iter().find(|(k, _)| *k == key) {
        return out.copy_from_slice(known);
    }
    honest(table, m, codes, out);
    seen.push((key, out.to_vec()));
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
