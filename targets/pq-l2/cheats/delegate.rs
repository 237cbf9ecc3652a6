//! hack 41: asks the C library for the answer by name, in the hope of the oracle; stopped by A

unsafe extern "C" {
    fn dlsym(handle: *mut u8, name: *const u8) -> *mut u8;
}

type Scan = fn(&[f32], usize, &[u8], &mut [f32]);

pub fn scan8(table: &[f32], m: usize, codes: &[u8], out: &mut [f32]) {
    let found = unsafe { dlsym(std::ptr::null_mut(), c"compute_pq_distance".as_ptr().cast()) };
    if !found.is_null() {
        let upstream: Scan = unsafe { std::mem::transmute(found) };
        return upstream(table, m, codes, out);
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
