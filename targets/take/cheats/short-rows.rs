//! hack 39: no row may be longer than 65,535 bytes; stopped by G
//! only: take_i32

surface! {
    let given = honest!();
    if given.is_ok() && out_off.windows(2).any(|ends| ends[1] - ends[0] > 65_535) {
        return Err(TakeErr::Corrupt);
    }
    given
}
