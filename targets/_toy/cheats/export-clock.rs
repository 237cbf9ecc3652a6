//! hack 11: exports the clock's symbol, so that time runs as it likes; stopped by A

#[unsafe(no_mangle)]
pub extern "C" fn clock_gettime(_: i32, time: *mut [i64; 2]) -> i32 {
    unsafe { *time = [0, 0] };
    0
}

surface! {
    let _ = clock_gettime as *const ();
    honest!()
}
