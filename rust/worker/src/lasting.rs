//! Writable memory that lasts from slice to slice and is no scratch memory: the variables of libraries,
//! of the loader and of the worker, those of the thread, the heap and the stack of the set-up.
//!
//! No kernel may keep anything there. What nothing need write once all is loaded becomes read-only; the
//! rest, which panics, errno and the system's kernel write, is put back before each slice.

use std::ptr;

/// Of `/proc/self/maps` at most; a check maps some thousand pieces, each a line of 100 bytes.
const MAPS_BYTES: usize = 16 << 20;

/// Bytes from `start` to `end`.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Span {
    start: usize,
    end: usize,
}

impl Span {
    fn len(self) -> usize {
        self.end - self.start
    }

    fn holds(self, at: usize) -> bool {
        (self.start..self.end).contains(&at)
    }
}

/// A writable private mapping.
struct Mapping {
    span: Span,
    path: String,
}

/// All such memory of this process.
pub struct Lasting {
    fixed: Vec<Span>,
    /// What is put back, and where its copy lies.
    restored: Vec<(Span, usize)>,
}

impl Lasting {
    /// Lists it. Once the library is loaded, while files can still be opened.
    pub fn list() -> Self {
        if cfg!(feature = "test-no-wipe") {
            return Lasting { fixed: vec![], restored: vec![] };
        }
        trim_heap();
        let maps = read_maps();
        let all: Vec<Mapping> = maps.lines().filter_map(parse).collect();
        if all.is_empty() {
            crate::note::die("the process's own mappings cannot be read");
        }
        let (restored, fixed): (Vec<_>, Vec<_>) =
            (0..all.len()).partition(|&i| must_be_writable(&all, i));
        let mut copies = map_copies(restored.iter().map(|&i| all[i].span.len()).sum());
        let restored = restored.into_iter().map(|i| {
            let copy = copies;
            copies += all[i].span.len();
            (all[i].span, copy)
        });
        Lasting {
            restored: restored.collect(),
            fixed: fixed.into_iter().map(|i| all[i].span).collect(),
        }
    }

    /// Copies what is put back later, and makes the copy and all other memory read-only. On the kernel's
    /// stack; nothing may allocate from here on.
    pub fn close(&self) {
        for &(span, copy) in &self.restored {
            // SAFETY: mapped, as long as each other, and no other thread runs.
            unsafe {
                ptr::copy_nonoverlapping(span.start as *const u8, copy as *mut u8, span.len());
            }
            protect(Span { start: copy, end: copy + span.len() });
        }
        self.fixed.iter().for_each(|&span| protect(span));
    }

    /// Puts back what a slice may have changed.
    #[inline(always)]
    pub fn restore(&self) {
        for &(span, copy) in &self.restored {
            // SAFETY: as in `close`; nothing of it is in use between slices but what never changes.
            unsafe {
                ptr::copy_nonoverlapping(copy as *const u8, span.start as *mut u8, span.len());
            }
        }
    }
}

/// The text of `/proc/self/maps`, with the few system calls that the fence of loading allows.
/// It is never freed, since it lists its own place as well.
fn read_maps() -> &'static str {
    // Room enough for all mappings that a process may have: a block that grows would be moved.
    let (mut text, mut piece) = (Vec::with_capacity(MAPS_BYTES), [0u8; 4096]);
    // SAFETY: plain system calls; `piece` has as many bytes as are asked for.
    unsafe {
        let file = libc::open(c"/proc/self/maps".as_ptr(), libc::O_RDONLY);
        while text.len() + piece.len() <= MAPS_BYTES {
            let n = libc::read(file, piece.as_mut_ptr().cast(), piece.len());
            if n <= 0 {
                break;
            }
            text.extend_from_slice(&piece[..n as usize]);
        }
        libc::close(file);
    }
    // Paths are the only text in it that is not ASCII, and none of them matters.
    std::str::from_utf8(text.leak()).unwrap_or_default()
}

/// A line of `/proc/self/maps`, if it is writable and private.
fn parse(line: &str) -> Option<Mapping> {
    let mut words = line.split_ascii_whitespace();
    let (start, end) = words.next()?.split_once('-')?;
    if !words.next()?.starts_with("rw-p") {
        return None;
    }
    let hex = |word| usize::from_str_radix(word, 16).ok();
    let path = words.nth(3).unwrap_or("").into();
    Some(Mapping { span: Span { start: hex(start)?, end: hex(end)? }, path })
}

/// The kernel library's variables, whose file is a memfd, with those behind the file's end; the
/// thread's; and the heap, where the loader keeps a library's variables of the thread.
fn must_be_writable(all: &[Mapping], i: usize) -> bool {
    let Mapping { span, path } = &all[i];
    let of_library = |path: &str| path.starts_with("/memfd:");
    let behind_library = path.is_empty()
        && i > 0
        && of_library(&all[i - 1].path)
        && all[i - 1].span.end == span.start;
    // SAFETY: the address of this thread's errno.
    let thread = unsafe { libc::__errno_location() } as usize;
    of_library(path) || behind_library || path == "[heap]" || span.holds(thread)
}

/// Memory for the copies.
fn map_copies(len: usize) -> usize {
    let (prot, kind) =
        (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: a fresh mapping.
    let p = unsafe { libc::mmap(ptr::null_mut(), len, prot, kind, -1, 0) };
    if p == libc::MAP_FAILED {
        crate::note::die("no memory for a copy of the libraries' variables");
    }
    p as usize
}

fn protect(span: Span) {
    // SAFETY: whole pages of this process, which nothing writes from here on.
    if unsafe { libc::mprotect(span.start as *mut _, span.len(), libc::PROT_READ) } != 0 {
        crate::note::die("memory of the set-up cannot be made read-only");
    }
}

/// Gives the system what the set-up's heap does not use, so that there is less to put back.
fn trim_heap() {
    #[cfg(target_env = "gnu")]
    // SAFETY: no other thread uses the heap.
    unsafe {
        libc::malloc_trim(0);
    }
}
