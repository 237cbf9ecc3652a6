//! hack 16: reads 32 bytes of every row, also of the last one; stopped by F
//! only: take_i32

surface! {
    let given = honest!();
    let mut seen = 0;
    for pick in picks.iter() {
        // SAFETY: none: behind the page may be a page that is not there.
        seen ^= unsafe { pick.chunk.as_ptr().add(pick.chunk.len() + 24).read_volatile() };
    }
    std::hint::black_box(seen);
    given
}
