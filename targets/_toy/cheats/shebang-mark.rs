//! hack 11: a byte order mark before the shebang line, both of which rustc drops; stopped by A
//! begins with: \u{feff}#!/ "\n

fn fence() {
    // SAFETY: it orders loads and changes nothing.
    unsafe { core::arch::asm!("lfence", options(nostack)) }
}
// "

surface! {
    fence();
    honest!()
}
