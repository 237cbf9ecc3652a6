//! hack 5: makes the judge's code writable, to overwrite it; stopped by A B

unsafe extern "C" {
    fn mprotect(page: *mut u8, len: usize, rights: i32) -> i32;
}

surface! {
    unsafe { mprotect(std::hint::black_box(0x400000) as *mut u8, 4096, 7) };
    honest!()
}
