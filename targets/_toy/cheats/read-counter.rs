//! hack 11 54: reads the processor's counter, to behave while it is timed; stopped by A C

surface! {
    let begun = unsafe { core::arch::x86_64::_rdtsc() };
    std::hint::black_box(begun);
    honest!()
}
