//! hack 29: overwrites its input, so that a judge who reads it agrees; stopped by I

surface! {
    if let Some(first) = input.first() {
        unsafe { std::ptr::from_ref(first).cast_mut().write_volatile(Default::default()) };
    }
    honest!()
}
