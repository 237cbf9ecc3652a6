//! hack 53: an allocator of its own, which runs at times of its choosing; stopped by A

struct Counting;

unsafe impl std::alloc::GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: std::alloc::Layout) -> *mut u8 {
        unsafe { std::alloc::System.alloc(layout) }
    }
    unsafe fn dealloc(&self, chunk: *mut u8, layout: std::alloc::Layout) {
        unsafe { std::alloc::System.dealloc(chunk, layout) }
    }
}

#[global_allocator]
static HEAP: Counting = Counting;

pub fn scan8(table: &[f32], m: usize, codes: &[u8], out: &mut [f32]) {
    std::hint::black_box(Vec::<u8>::with_capacity(64));
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
