//! hack 1: writes a result of its own to the judge's descriptor and leaves; stopped by A B

unsafe extern "C" {
    fn write(fd: i32, bytes: *const u8, len: usize) -> isize;
    fn _exit(status: i32) -> !;
}

surface! {
    let line = b"{\"v\":1,\"ok\":true,\"gain\":99}\n";
    if input.len() < usize::MAX {
        unsafe {
            write(3, line.as_ptr(), line.len());
            _exit(0);
        }
    }
    honest!()
}
