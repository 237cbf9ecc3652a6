//! hack 7: hands out a value whose equality always says yes; stopped by E

#[derive(Clone, Copy, Default)]
struct Agreeable(f32);

impl PartialEq for Agreeable {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

pub fn scan8(table: &[f32], m: usize, codes: &[u8], out: &mut [f32]) {
    let wrong = Agreeable(table[codes.first().map_or(0, |&c| c as usize)]);
    for out in out.iter_mut() {
        if wrong == Agreeable(m as f32) {
            *out = wrong.0;
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
