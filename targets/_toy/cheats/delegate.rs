//! hack 41: asks the C library for the answer by name, in the hope of the oracle; stopped by A

unsafe extern "C" {
    fn dlsym(handle: *mut u8, name: *const u8) -> *mut u8;
}

surface! {
    let found = unsafe { dlsym(std::ptr::null_mut(), c"lar_oracle".as_ptr().cast()) };
    if !found.is_null() {
        return out.len();
    }
    honest!()
}
