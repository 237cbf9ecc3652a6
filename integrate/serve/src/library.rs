//! Libraries of kernels: loading, taking functions out of them, counting calls on the way to them.

use std::ffi::{CStr, CString, c_void};
use std::marker::PhantomData;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering::Relaxed};

/// Must be the number in integrate/glue.rs.
const GLUE: u32 = 1;

/// Whether sizes and ticks are recorded. Calls are always counted.
pub static WATCH: AtomicBool = AtomicBool::new(false);

/// A loaded library; it is never unloaded.
pub struct Library {
    handle: *mut c_void,
    /// Ops that are wanted; empty: all.
    wanted: Vec<String>,
}

impl Library {
    /// Loads a library and tells it the CPU's features.
    pub fn load(path: &str, wanted: Vec<String>, features: u64) -> Result<Self, String> {
        let name = CString::new(path).map_err(|_| "path has a NUL")?;
        // SAFETY: a NUL-terminated path; initialisers of a library of ours do nothing.
        let handle = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
        if handle.is_null() {
            return Err(format!("cannot be loaded: {}", read_error()));
        }
        let library = Self { handle, wanted };
        // SAFETY: glue.rs gives this name to a function of this type.
        let init: fn(u64) -> u32 = unsafe { library.find("integrate_init")? };
        match init(features) {
            GLUE => Ok(library),
            other => Err(format!("was built with glue {other}, not {GLUE}")),
        }
    }

    /// The function `lar_<name>`.
    ///
    /// # Safety
    /// `F` is the function's type.
    pub unsafe fn find<F: Copy>(&self, name: &str) -> Result<F, String> {
        const { assert!(size_of::<F>() == size_of::<*mut c_void>()) };
        let symbol = CString::new(format!("lar_{name}")).map_err(|_| "name has a NUL")?;
        // SAFETY: an open handle and a NUL-terminated name.
        let place = unsafe { libc::dlsym(self.handle, symbol.as_ptr()) };
        if place.is_null() {
            return Err(format!("has no function lar_{name}"));
        }
        // SAFETY: of the same size, and the caller knows its type.
        Ok(unsafe { std::mem::transmute_copy(&place) })
    }

    /// Puts the function of an op behind its counter; false if the op is not wanted.
    ///
    /// # Safety
    /// As `find`.
    pub unsafe fn take<F: Copy>(&self, name: &str, op: &Op<F>) -> Result<bool, String> {
        if !self.wanted.is_empty() && !self.wanted.iter().any(|one| one == name) {
            return Ok(false);
        }
        // SAFETY: by the caller.
        let function: F = unsafe { self.find(name)? };
        // SAFETY: `find` asserts that `F` is as large as a pointer.
        op.place.store(unsafe { std::mem::transmute_copy(&function) }, Relaxed);
        Ok(true)
    }
}

fn read_error() -> String {
    // SAFETY: dlerror returns null or a string that lives until the next call.
    let text = unsafe { libc::dlerror() };
    if text.is_null() {
        return "no reason given".into();
    }
    // SAFETY: not null, NUL-terminated.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}

/// Bins of a histogram: sizes 0, 1, 2-3, 4-7, and so on.
pub const BINS: usize = 33;

/// One op's function and what is known of its calls.
pub struct Op<F> {
    name: &'static str,
    dims: [&'static str; 2],
    place: AtomicPtr<()>,
    calls: AtomicU64,
    units: AtomicU64,
    ticks: AtomicU64,
    sizes: [[AtomicU64; BINS]; 2],
    kind: PhantomData<F>,
}

impl<F: Copy> Op<F> {
    pub const fn new(name: &'static str, dims: [&'static str; 2]) -> Self {
        Self {
            name,
            dims,
            place: AtomicPtr::new(std::ptr::null_mut()),
            calls: AtomicU64::new(0),
            units: AtomicU64::new(0),
            ticks: AtomicU64::new(0),
            sizes: [const { [const { AtomicU64::new(0) }; BINS] }; 2],
            kind: PhantomData,
        }
    }

    /// Counts and calls. Queries run on one thread, so counters need no locked instruction.
    #[inline(always)]
    pub fn run<R>(&self, dims: [usize; 2], call: impl FnOnce(F) -> R) -> R {
        // SAFETY: `take` put an `F` there before the slot that leads here was filled.
        let kernel: F = unsafe { std::mem::transmute_copy(&self.place.load(Relaxed)) };
        add(&self.calls, 1);
        add(&self.units, dims[0] as u64);
        if !WATCH.load(Relaxed) {
            return call(kernel);
        }
        for (bins, size) in self.sizes.iter().zip(dims) {
            let bin = (usize::BITS - size.leading_zeros()) as usize;
            add(&bins[bin.min(BINS - 1)], 1);
        }
        let begun = read_ticks();
        let result = call(kernel);
        add(&self.ticks, read_ticks() - begun);
        result
    }
}

#[inline(always)]
fn add(counter: &AtomicU64, amount: u64) {
    counter.store(counter.load(Relaxed).wrapping_add(amount), Relaxed);
}

/// The time-stamp counter, or nanoseconds where there is none.
#[inline(always)]
pub fn read_ticks() -> u64 {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: every x86-64 processor has it.
    unsafe {
        std::arch::x86_64::_rdtsc()
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        static BEGUN: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
        BEGUN.get_or_init(std::time::Instant::now).elapsed().as_nanos() as u64
    }
}

/// An op whose counters can be read.
pub trait Watched: Sync {
    /// One JSON object.
    fn describe(&self) -> String;
}

impl<F: Sync> Watched for Op<F> {
    fn describe(&self) -> String {
        let read = |counter: &AtomicU64| counter.load(Relaxed).to_string();
        let list = |bins: &[AtomicU64]| bins.iter().map(read).collect::<Vec<_>>().join(",");
        format!(
            r#"{{"op":"{}","calls":{},"units":{},"ticks":{},"dims":["{}","{}"],"sizes":[[{}],[{}]]}}"#,
            self.name,
            read(&self.calls),
            read(&self.units),
            read(&self.ticks),
            self.dims[0],
            self.dims[1],
            list(&self.sizes[0]),
            list(&self.sizes[1]),
        )
    }
}
