//! A kernel library by its path: the entry points that every contract exports.

use lar_abi::call::{CallFn, Init, InitFn, Note, PrepareFn, VERSION};
use std::ffi::{CStr, CString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Entry points of one loaded library; it is never unloaded.
pub struct Library {
    pub call: CallFn,
    pub prepare: PrepareFn,
    init: InitFn,
}

impl Library {
    /// Loads `path` with every symbol bound now.
    pub fn open(path: &Path) -> Result<Self, String> {
        let name = CString::new(path.as_os_str().as_bytes()).map_err(|e| e.to_string())?;
        // SAFETY: a C string; the library's constructors run in a process of their own.
        let handle = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
        if handle.is_null() {
            return Err(format!("cannot load the library: {}", last_error()));
        }
        let find = |symbol: &CStr| {
            // SAFETY: a valid handle and a C string.
            let found = unsafe { libc::dlsym(handle, symbol.as_ptr()) };
            if found.is_null() {
                return Err(format!("the library exports no {}", symbol.to_string_lossy()));
            }
            Ok(found)
        };
        // SAFETY: the shim defines these symbols with these signatures.
        unsafe {
            Ok(Library {
                call: std::mem::transmute::<*mut libc::c_void, CallFn>(find(c"lar_call_v1")?),
                prepare: std::mem::transmute::<*mut libc::c_void, PrepareFn>(find(
                    c"lar_prepare_v1",
                )?),
                init: std::mem::transmute::<*mut libc::c_void, InitFn>(find(c"lar_init_v1")?),
            })
        }
    }

    /// Tells the library its features, its note page, its arena and its heap, which must live on.
    pub fn init(
        &self,
        features: &'static u64,
        note: *mut Note,
        arena: (*mut u8, usize),
        heap: (*mut u8, usize),
    ) {
        let ((arena, arena_len), (heap, heap_len)) = (arena, heap);
        let version = VERSION;
        // SAFETY: all of them live as long as the process.
        unsafe { (self.init)(&Init { version, features, note, arena, arena_len, heap, heap_len }) };
    }
}

fn last_error() -> String {
    // SAFETY: dlerror's string is valid until the next dl call.
    unsafe {
        let text = libc::dlerror();
        if text.is_null() { "?".into() } else { CStr::from_ptr(text).to_string_lossy().into() }
    }
}
