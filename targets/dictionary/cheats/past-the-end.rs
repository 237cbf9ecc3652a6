//! hack 16: reads 32 bytes of every item, also of the last ones; stopped by F
//! only: decode_i32 decode_i64

surface! {
    let given = honest!();
    let mut seen = 0;
    for &end in off.iter().filter(|&&end| (0..=data.len() as i64).contains(&(end as i64))) {
        // SAFETY: none: behind the data may be a page that is not there.
        seen ^= unsafe { data.as_ptr().add(end as usize + 31).read_volatile() };
    }
    std::hint::black_box(seen);
    given
}
