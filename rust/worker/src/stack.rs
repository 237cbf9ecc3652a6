//! The kernel's stack: as long as that of the threads on which Lance runs kernels, a guard below it.

use lar_abi::wire::{Range, Setup};

/// Pages of the stack touched ahead, so that hardly any call meets a fresh one while it is timed.
const WARM: usize = 64 << 10;

/// Runs `life` on the kernel's stack, for ever.
pub fn enter<T>(setup: &Setup, state: &T, life: extern "C" fn(&T) -> !) -> ! {
    let (end, top) = (setup.stack_base + setup.stack_len, find_top(setup));
    let warm = WARM.min(setup.stack_len as usize);
    // SAFETY: the last `warm` bytes of a mapping that nothing uses yet.
    unsafe { std::ptr::write_bytes((end - warm as u64) as *mut u8, 0, warm) };
    jump(top, state, life)
}

/// Where the first frame begins: the end of the stack, less what the layout draws.
fn find_top(setup: &Setup) -> u64 {
    setup.stack_base + setup.stack_len - 16 * u64::from(setup.layout.stack)
}

/// Overwrites a range of the stack, but for the frames of the worker's own functions.
#[inline(always)]
pub fn fill(setup: &Setup, range: &Range, byte: u8) {
    let (start, end, top) = (range.addr, range.addr + range.len, find_top(setup));
    let above = start.max(top);
    if above < end {
        // SAFETY: between the first frame and the end of the stack nothing lies.
        unsafe { std::ptr::write_bytes(above as *mut u8, byte, (end - above) as usize) };
    }
    fill_below(start, end.min(top), byte);
}

/// Overwrites from `start` to the stack pointer, or to `end` if that is lower.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn fill_below(start: u64, end: u64, byte: u8) {
    // SAFETY: nothing in use lies below the stack pointer, since this is no leaf's red zone: the
    // block may push. A length below zero fills nothing.
    unsafe {
        std::arch::asm!(
            "cmp {end}, rsp", "cmova {end}, rsp", "xor ecx, ecx", "sub {end}, rdi",
            "cmova rcx, {end}", "rep stosb",
            end = inout(reg) end => _,
            inout("rdi") start => _,
            out("rcx") _,
            in("al") byte,
        );
    }
}

/// Overwrites from `start` to the stack pointer, or to `end` if that is lower.
#[cfg(target_arch = "aarch64")]
#[inline(always)]
fn fill_below(start: u64, end: u64, byte: u8) {
    // SAFETY: nothing in use lies below the stack pointer; AArch64 has no red zone here. Both ends are
    // multiples of 16.
    unsafe {
        std::arch::asm!(
            "mov {sp}, sp", "cmp {end}, {sp}", "csel {end}, {sp}, {end}, hi",
            "2:", "cmp {at}, {end}", "b.hs 3f", "stp {word}, {word}, [{at}], #16", "b 2b", "3:",
            sp = out(reg) _,
            end = inout(reg) end => _,
            at = inout(reg) start => _,
            word = in(reg) u64::from(byte) * 0x0101_0101_0101_0101,
        );
    }
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn fill_below(_start: u64, _end: u64, _byte: u8) {}

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
