//! Loads the kernel library by descriptor, so that its name is the same for every library.

use crate::memory::Memory;
use lar_abi::call::{CallFn, Init, InitFn, PrepareFn, RawCall, VERSION};
use std::ffi::CStr;

/// Entry points of one library, or the worker's own no-op if none is loaded.
pub struct Library {
    pub call: CallFn,
    pub nop: CallFn,
    pub prepare: PrepareFn,
    pub init: Option<InitFn>,
}

extern "C" fn own_nop(_op: u32, _call: *const RawCall) {}

extern "C" fn prepare_nothing(_op: u32, _calls: *const RawCall, _n: usize) -> usize {
    0
}

impl Library {
    /// No library: only empty slices can be run.
    pub fn none() -> Self {
        Library { call: own_nop, nop: own_nop, prepare: prepare_nothing, init: None }
    }

    /// Opens `/proc/self/fd/7` with every symbol bound now.
    pub fn open() -> Self {
        let name = c"/proc/self/fd/7";
        // SAFETY: loading runs the library's constructors; the loading fence is up.
        let handle = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
        if handle.is_null() {
            crate::note::die(&format!("cannot load the library: {}", last_error()));
        }
        let find = |symbol: &CStr| {
            // SAFETY: a valid handle and a C string.
            let p = unsafe { libc::dlsym(handle, symbol.as_ptr()) };
            if p.is_null() {
                crate::note::die(&format!("the library exports no {}", symbol.to_string_lossy()));
            }
            p
        };
        // SAFETY: the shim defines these symbols with these signatures.
        unsafe {
            Library {
                call: std::mem::transmute::<*mut libc::c_void, CallFn>(find(c"lar_call_v1")),
                nop: std::mem::transmute::<*mut libc::c_void, CallFn>(find(c"lar_nop_v1")),
                prepare: std::mem::transmute::<*mut libc::c_void, PrepareFn>(find(
                    c"lar_prepare_v1",
                )),
                init: Some(std::mem::transmute::<*mut libc::c_void, InitFn>(find(c"lar_init_v1"))),
            }
        }
    }

    /// Tells the library its features page, its note page, its arena and its heap.
    pub fn init(&self, memory: &Memory) {
        let Memory { features, note, arena, heap, heap_len, .. } = *memory;
        let arena_len = memory.setup.arena_len as usize;
        if let Some(init) = self.init {
            let version = VERSION;
            // SAFETY: all of them live as long as the process.
            unsafe { init(&Init { version, features, note, arena, arena_len, heap, heap_len }) };
        }
    }
}

fn last_error() -> String {
    // SAFETY: dlerror's string is valid until the next dl call.
    unsafe {
        let p = libc::dlerror();
        if p.is_null() { "?".into() } else { CStr::from_ptr(p).to_string_lossy().into_owned() }
    }
}
