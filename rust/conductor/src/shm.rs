//! Shared memory: an anonymous file, mapped here, handed to workers by descriptor.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::path::Path;

/// A memfd and the conductor's own read-write mapping of it.
pub struct Shared {
    fd: OwnedFd,
    ptr: *mut u8,
    len: usize,
}

fn memfd(name: &std::ffi::CStr, len: usize) -> Result<OwnedFd, String> {
    // SAFETY: plain system calls; the descriptor is owned from here on.
    unsafe {
        let fd = libc::memfd_create(name.as_ptr(), libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING);
        if fd < 0 {
            return Err(format!("no shared memory: {}", io::Error::last_os_error()));
        }
        let fd = OwnedFd::from_raw_fd(fd);
        if libc::ftruncate(fd.as_raw_fd(), len as libc::off_t) != 0 {
            return Err(format!("no {len} bytes of memory: {}", io::Error::last_os_error()));
        }
        Ok(fd)
    }
}

fn seal(fd: &OwnedFd, seals: i32) -> Result<(), String> {
    // SAFETY: a plain system call.
    match unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_ADD_SEALS, seals) } {
        0 => Ok(()),
        _ => Err(format!("cannot seal memory: {}", io::Error::last_os_error())),
    }
}

impl Shared {
    /// `len` zero bytes. `read_only`: only this mapping can ever write them.
    pub fn new(len: usize, read_only: bool) -> Result<Self, String> {
        let fd = memfd(c"lar", len)?;
        // SAFETY: a fresh mapping of our own file.
        let ptr = unsafe {
            let prot = libc::PROT_READ | libc::PROT_WRITE;
            let null = std::ptr::null_mut();
            libc::mmap(null, len, prot, libc::MAP_SHARED, fd.as_raw_fd(), 0)
        };
        if ptr == libc::MAP_FAILED {
            return Err(format!("cannot map {len} bytes: {}", io::Error::last_os_error()));
        }
        let shared = Shared { fd, ptr: ptr.cast(), len };
        let write = if read_only { libc::F_SEAL_FUTURE_WRITE } else { 0 };
        let size = libc::F_SEAL_GROW | libc::F_SEAL_SHRINK;
        seal(&shared.fd, write | size | libc::F_SEAL_SEAL)?;
        Ok(shared)
    }

    /// The descriptor to hand over.
    pub fn fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }

    /// Bytes that exist: those of pages that were ever read or written.
    pub fn used(&self) -> u64 {
        // SAFETY: `stat` is ours; a plain system call.
        unsafe {
            let mut stat: libc::stat = std::mem::zeroed();
            libc::fstat(self.fd(), &mut stat);
            512 * stat.st_blocks as u64
        }
    }

    /// Offsets `(from, to)` of the pages that exist, in order.
    pub fn data(&self) -> Vec<(u64, u64)> {
        // SAFETY: plain system calls; nothing reads or writes by this descriptor's position.
        let seek = |at, what| unsafe { libc::lseek(self.fd(), at, what) };
        let (mut ranges, mut at) = (Vec::new(), 0);
        loop {
            let from = seek(at, libc::SEEK_DATA);
            if from < 0 {
                return ranges;
            }
            at = seek(from, libc::SEEK_HOLE);
            ranges.push((from as u64, at as u64));
        }
    }

    /// Start of the mapping.
    pub fn ptr(&self) -> *mut u8 {
        self.ptr
    }

    /// The bytes. What a worker may write while it runs is read through here only after it
    /// was proven asleep, or line by line if a race is the thing looked for.
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: mapped for the life of `self`.
        unsafe { std::slice::from_raw_parts(self.ptr, self.len) }
    }

    /// The bytes, to be written.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: mapped for the life of `self`, borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(self.ptr, self.len) }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // SAFETY: our own mapping, not used any more.
        unsafe { libc::munmap(self.ptr.cast(), self.len) };
    }
}

/// `FUTURE_WRITE`, not `WRITE`: there is no writable mapping that the latter would have to forbid,
/// and it fails with EBUSY if the kernel itself holds a page for a moment (seen under DAMON).
const FROZEN: i32 = libc::F_SEAL_GROW
    | libc::F_SEAL_SHRINK
    | libc::F_SEAL_SEAL
    | if cfg!(feature = "test-write-inputs") { 0 } else { libc::F_SEAL_FUTURE_WRITE };

/// Bytes that no process can change any more, the conductor included. Written, not mapped: a
/// page filled by `write` is neither zeroed nor faulted in first.
pub struct Frozen(OwnedFd);

impl Frozen {
    /// A sealed copy of `bytes`.
    pub fn new(bytes: &[u8]) -> Result<Self, String> {
        let mut file = File::from(memfd(c"lar", 0)?);
        io::Write::write_all(&mut file, bytes).map_err(|e| format!("no shared memory: {e}"))?;
        let fd = OwnedFd::from(file);
        seal(&fd, FROZEN)?;
        Ok(Frozen(fd))
    }

    /// A file with holes: `len` bytes, the pieces written where they belong.
    pub fn sparse<'a>(
        len: usize,
        pieces: impl Iterator<Item = (usize, &'a [u8])>,
    ) -> Result<Self, String> {
        let file = File::from(memfd(c"lar", len)?);
        for (at, bytes) in pieces {
            std::os::unix::fs::FileExt::write_all_at(&file, bytes, at as u64)
                .map_err(|e| format!("no shared memory: {e}"))?;
        }
        let fd = OwnedFd::from(file);
        seal(&fd, FROZEN)?;
        Ok(Frozen(fd))
    }

    /// A sealed copy of a library: no name, no later change, fresh physical pages.
    pub fn copy_of(path: &Path) -> Result<Self, String> {
        let at = |e: io::Error| format!("{}: {e}", path.display());
        let mut from = File::open(path).map_err(at)?;
        let mut to = File::from(memfd(c"lar", 0)?);
        io::copy(&mut from, &mut to).map_err(at)?;
        let fd = OwnedFd::from(to);
        seal(&fd, FROZEN)?;
        Ok(Frozen(fd))
    }

    /// The descriptor to hand over.
    pub fn fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// A file mapped read-only.
pub struct Mapped {
    ptr: *const u8,
    len: usize,
}

impl Mapped {
    /// Maps all of `path`.
    pub fn open(path: &Path) -> Result<Self, String> {
        let at = |e: io::Error| format!("{}: {e}", path.display());
        let file = File::open(path).map_err(at)?;
        let len = file.metadata().map_err(at)?.len() as usize;
        if len == 0 {
            return Err(format!("{}: empty file", path.display()));
        }
        // SAFETY: a fresh private mapping; epoch files are written once and then renamed.
        let ptr = unsafe {
            let flags = libc::MAP_PRIVATE | libc::MAP_POPULATE;
            let null = std::ptr::null_mut();
            libc::mmap(null, len, libc::PROT_READ, flags, file.as_raw_fd(), 0)
        };
        if ptr == libc::MAP_FAILED {
            return Err(at(io::Error::last_os_error()));
        }
        Ok(Mapped { ptr: ptr.cast(), len })
    }

    /// The file's bytes.
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: mapped for the life of `self`.
        unsafe { std::slice::from_raw_parts(self.ptr, self.len) }
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        // SAFETY: our own mapping, not used any more.
        unsafe { libc::munmap(self.ptr.cast_mut().cast(), self.len) };
    }
}
