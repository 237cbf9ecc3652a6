//! hack 39: the end of a row may pass 2^31, which no call of usual size reaches; stopped by G
//! only: take_i32

surface! {
    let given = honest!();
    if given == Err(TakeErr::NotSupported) { Ok(0) } else { given }
}
