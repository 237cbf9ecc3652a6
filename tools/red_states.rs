// Places in which one bit may outlive a call, for tools/red_twins.py. Each function reads the bit,
// and sets it if it is asked to. No output may depend on it, once nothing survives a slice.

const RED_SET: u64 = 0x5eed_beef_0dd5_ba11;

/// A word of memory as a bit.
unsafe fn red_word(word: *mut u64, set: bool) -> bool {
    // SAFETY: the caller's word may be read and written.
    unsafe {
        let known = std::hint::black_box(word).read_volatile() == RED_SET;
        if set {
            word.write_volatile(RED_SET);
        }
        known
    }
}

/// `BYTES` down the stack.
#[inline(never)]
fn red_down_the_stack<const BYTES: usize>(set: bool) -> bool {
    let mut place = std::mem::MaybeUninit::<[u8; BYTES]>::uninit();
    let first = std::hint::black_box(place.as_mut_ptr()).cast::<u64>();
    // SAFETY: it lies within the array.
    unsafe { red_word(first.add(8).cast::<u8>().add(16).cast::<u64>().map_addr(|a| a & !7), set) }
}

fn red_stack_60k(set: bool) -> bool {
    red_down_the_stack::<{ 60 << 10 }>(set)
}

fn red_stack_300k(set: bool) -> bool {
    red_down_the_stack::<{ 300 << 10 }>(set)
}

fn red_stack_1m(set: bool) -> bool {
    red_down_the_stack::<{ 1 << 20 }>(set)
}

fn red_stack_1700k(set: bool) -> bool {
    red_down_the_stack::<{ 1700 << 10 }>(set)
}

/// In a chunk that is freed again.
fn red_freed<const BYTES: usize>(at: usize, set: bool) -> bool {
    let layout = std::alloc::Layout::from_size_align(BYTES, 16).unwrap();
    // SAFETY: the word lies within the chunk.
    unsafe {
        let chunk = std::hint::black_box(std::alloc::alloc(layout));
        let known = red_word(chunk.add(at).cast(), set);
        std::alloc::dealloc(std::hint::black_box(chunk), layout);
        known
    }
}

fn red_heap_small(set: bool) -> bool {
    red_freed::<1000>(504, set)
}

fn red_heap_100k(set: bool) -> bool {
    red_freed::<100_000>(50_000, set)
}

fn red_heap_16m(set: bool) -> bool {
    red_freed::<{ 16 << 20 }>(8 << 20, set)
}

fn red_heap_400m(set: bool) -> bool {
    red_freed::<{ 400 << 20 }>(399 << 20, set)
}

/// In a chunk that is never freed, if the next one takes its place or lies behind it.
fn red_leaked(set: bool) -> bool {
    let layout = std::alloc::Layout::from_size_align(4096, 16).unwrap();
    // SAFETY: both chunks are allocated; a chunk in front of the second one is the first.
    unsafe {
        let first = std::hint::black_box(std::alloc::alloc(layout));
        let second = std::hint::black_box(std::alloc::alloc(layout));
        let known = red_word(first.cast(), set) || red_word(second.cast(), false);
        if !set {
            std::alloc::dealloc(first, layout);
        }
        std::alloc::dealloc(second, layout);
        known
    }
}

/// Behind all chunks of the heap, where no chunk ever was.
fn red_beyond_the_heap(set: bool) -> bool {
    let layout = std::alloc::Layout::from_size_align(64, 16).unwrap();
    // SAFETY: the heap of a worker is mapped and 512 MiB long.
    unsafe {
        let chunk = std::hint::black_box(std::alloc::alloc(layout));
        let word = chunk.add(128 << 20).map_addr(|a| a & !63).cast::<u64>();
        std::alloc::dealloc(chunk, layout);
        red_word(word, set)
    }
}

/// Between the variables of this library and the end of their page.
fn red_library_page(set: bool) -> bool {
    // SAFETY: an ELF file lies in memory as its own header says; a writable segment ends in a page.
    unsafe {
        let mut base = red_library_page as fn(bool) -> bool as usize & !4095;
        while (base as *const u32).read_volatile() != u32::from_le_bytes(*b"\x7fELF") {
            base -= 4096;
        }
        let field = |at: usize, len: usize| match len {
            2 => (at as *const u16).read_unaligned() as usize,
            4 => (at as *const u32).read_unaligned() as usize,
            _ => (at as *const u64).read_unaligned() as usize,
        };
        let (table, entry, count) =
            (base + field(base + 32, 8), field(base + 54, 2), field(base + 56, 2));
        for header in (0..count).map(|i| table + i * entry) {
            let (kind, flags) = (field(header, 4), field(header + 4, 4));
            if kind == 1 && flags & 2 != 0 {
                let end = base + field(header + 16, 8) + field(header + 40, 8);
                let word = end.next_multiple_of(4096) - 64;
                if word >= end {
                    return red_word(word as *mut u64, set);
                }
            }
        }
    }
    false
}

/// Above the frames of all callers: where a process keeps its arguments, or a stack begins.
fn red_above_the_frames(set: bool) -> bool {
    let here = 0u64;
    let from = std::hint::black_box(&here) as *const u64 as usize & !4095;
    // SAFETY: a stack goes on for a page above a call so deep.
    unsafe { red_word((from + 4096 - 64) as *mut u64, set) }
}

/// In a sticky bit of MXCSR, which is no control bit: additions never divide by zero.
#[cfg(target_arch = "x86_64")]
#[allow(deprecated)]
fn red_sticky_bit(set: bool) -> bool {
    use std::arch::x86_64::{_mm_getcsr, _mm_setcsr};
    // SAFETY: SSE is everywhere; a status bit alone changes.
    unsafe {
        let now = _mm_getcsr();
        if set {
            _mm_setcsr(now | 4);
        }
        now & 4 != 0
    }
}

#[cfg(target_arch = "x86_64")]
#[repr(align(64))]
struct RedArea([u64; 64]);

/// In a register of the x87 unit that is empty: its bits stay.
#[cfg(target_arch = "x86_64")]
fn red_x87(set: bool) -> bool {
    use std::arch::x86_64::{_fxrstor64, _fxsave64};
    let mut area = RedArea([0; 64]);
    // SAFETY: every x86-64 has them; the area has 512 bytes on a line.
    unsafe {
        _fxsave64(area.0.as_mut_ptr().cast());
        let word = 4 + 2 * 5; // the mantissa of ST5
        let known = area.0[word] == RED_SET;
        if set {
            area.0[word] = RED_SET;
            _fxrstor64(area.0.as_ptr().cast());
        }
        known
    }
}

/// In the last of the sixteen vector registers.
#[cfg(target_arch = "x86_64")]
fn red_xmm15(set: bool) -> bool {
    use std::arch::x86_64::{_fxrstor64, _fxsave64};
    let mut area = RedArea([0; 64]);
    // SAFETY: as above.
    unsafe {
        _fxsave64(area.0.as_mut_ptr().cast());
        let word = 20 + 2 * 15;
        let known = area.0[word] == RED_SET;
        if set {
            area.0[word] = RED_SET;
            _fxrstor64(area.0.as_ptr().cast());
        }
        known
    }
}

