//! hack 11: hides inline assembly behind a shebang line that a scan may take for a string; stopped by A
//! begins with: #!/ "\n

fn fence() {
    // SAFETY: it orders loads and changes nothing.
    unsafe { core::arch::asm!("lfence", options(nostack)) }
}
// "

surface! {
    fence();
    honest!()
}
