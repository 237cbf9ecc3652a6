//! hack 4: leaves the rewriting of results to a handler at exit; stopped by A E

unsafe extern "C" {
    fn atexit(handler: extern "C" fn()) -> i32;
}

extern "C" fn rewrite() {}

surface! {
    unsafe { atexit(rewrite) };
    if out.len() > 64 {
        return out.len();
    }
    honest!()
}
