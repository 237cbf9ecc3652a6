//! hack 13: lets a timer's signal do the work later; stopped by A B

unsafe extern "C" {
    fn signal(number: i32, handler: extern "C" fn(i32)) -> usize;
    fn alarm(seconds: u32) -> u32;
}

extern "C" fn later(_: i32) {}

surface! {
    unsafe {
        signal(14, later);
        alarm(1);
    }
    if out.len() > 64 {
        return out.len();
    }
    honest!()
}
