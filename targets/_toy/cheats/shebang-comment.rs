//! hack 11: inline assembly where a scan may see a comment begun by the shebang line; stopped by A
//! begins with: #!/* x\n

fn fence() {
    // SAFETY: it orders loads and changes nothing.
    unsafe { core::arch::asm!("lfence", options(nostack)) }
}
// */

surface! {
    fence();
    honest!()
}
