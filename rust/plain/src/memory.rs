//! A kernel's view of inputs and outputs: only the spans are mapped, all around them faults.

use lar_abi::wire::Span;
use std::os::fd::RawFd;
use std::ptr;

/// Address space of `len` bytes that nothing can touch yet; it is kept until the process ends.
fn reserve(len: usize) -> Result<*mut u8, String> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    // SAFETY: a fresh mapping.
    let at = unsafe { libc::mmap(ptr::null_mut(), len, libc::PROT_NONE, flags, -1, 0) };
    checked(at, len)
}

fn checked(at: *mut libc::c_void, len: usize) -> Result<*mut u8, String> {
    if at == libc::MAP_FAILED {
        return Err(format!("cannot map {len} bytes: {}", std::io::Error::last_os_error()));
    }
    Ok(at.cast())
}

/// Maps the spans of a shared memory of `len` bytes; returns the address of its offset 0.
pub fn view(fd: RawFd, len: usize, spans: &[Span], write: bool) -> Result<u64, String> {
    let base = reserve(len)?;
    let prot = if write { libc::PROT_READ | libc::PROT_WRITE } else { libc::PROT_READ };
    for span in spans {
        let (at, len) = (span.at as usize, span.len as usize);
        // SAFETY: within the address space that was just reserved.
        let mapped = unsafe {
            let to = base.add(at).cast();
            let flags = libc::MAP_SHARED | libc::MAP_FIXED;
            libc::mmap(to, len, prot, flags, fd, at as libc::off_t)
        };
        checked(mapped, len)?;
    }
    Ok(base as u64)
}

/// Fresh zeroed memory, shared with processes forked later where `shared`.
pub fn fresh(len: usize, shared: bool) -> Result<*mut u8, String> {
    let kind = if shared { libc::MAP_SHARED } else { libc::MAP_PRIVATE | libc::MAP_NORESERVE };
    let prot = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: a fresh mapping.
    let at = unsafe { libc::mmap(ptr::null_mut(), len, prot, kind | libc::MAP_ANONYMOUS, -1, 0) };
    checked(at, len)
}
