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

surface! {
    std::hint::black_box(Vec::<u8>::with_capacity(64));
    honest!()
}
