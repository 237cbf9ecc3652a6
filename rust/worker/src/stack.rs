//! The kernel's stack: as long as that of the threads on which Lance runs kernels, a guard below it.

use lar_abi::wire::Setup;

/// Pages of the stack touched ahead, so that hardly any call meets a fresh one while it is timed.
const WARM: usize = 64 << 10;

/// Runs `life` on the kernel's stack, for ever.
pub fn enter<T>(setup: &Setup, state: &T, life: extern "C" fn(&T) -> !) -> ! {
    let end = setup.stack_base + setup.stack_len;
    let top = end - 16 * u64::from(setup.layout.stack);
    let warm = WARM.min(setup.stack_len as usize);
    // SAFETY: the last `warm` bytes of a mapping that nothing uses yet.
    unsafe { std::ptr::write_bytes((end - warm as u64) as *mut u8, 0, warm) };
    jump(top, state, life)
}

#[cfg(target_arch = "x86_64")]
fn jump<T>(top: u64, state: &T, life: extern "C" fn(&T) -> !) -> ! {
    // SAFETY: `top` is the end of a free stack, aligned to 16 bytes; `life` never returns.
    unsafe {
        std::arch::asm!("mov rsp, {top}", "xor ebp, ebp", "call {life}", "ud2",
            top = in(reg) top, life = in(reg) life, in("rdi") state, options(noreturn))
    }
}

#[cfg(target_arch = "aarch64")]
fn jump<T>(top: u64, state: &T, life: extern "C" fn(&T) -> !) -> ! {
    // SAFETY: `top` is the end of a free stack, aligned to 16 bytes; `life` never returns.
    unsafe {
        std::arch::asm!("mov sp, {top}", "mov x29, xzr", "mov x30, xzr", "br {life}",
            top = in(reg) top, life = in(reg) life, in("x0") state, options(noreturn))
    }
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn jump<T>(_top: u64, state: &T, life: extern "C" fn(&T) -> !) -> ! {
    life(state)
}
