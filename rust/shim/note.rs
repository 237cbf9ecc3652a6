//! A panic ends the process and leaves its place on the note page.

use crate::abi::{EXIT_MEMORY, EXIT_PANIC, NOTE_MEMORY, NOTE_PANIC, NOTE_TEXT, Note};
use core::cell::Cell;
use core::fmt::{self, Write};
use core::sync::atomic::{AtomicPtr, Ordering};

static NOTE: AtomicPtr<Note> = AtomicPtr::new(core::ptr::null_mut());

thread_local! {
    /// Of no use but that a panic's own variables of the thread lie beside it: the loader makes room for
    /// them all when the first is used, which must be before the worker closes its memory.
    static FIRST: Cell<u8> = const { Cell::new(0) };
}

unsafe extern "C" {
    /// libc's raw end of the process: no handlers, no destructors.
    fn _exit(status: i32) -> !;
}

/// Text of at most `NOTE_TEXT` bytes, without the heap.
struct Text {
    bytes: [u8; NOTE_TEXT],
    len: usize,
}

impl Write for Text {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        let n = s.len().min(NOTE_TEXT - self.len);
        self.bytes[self.len..self.len + n].copy_from_slice(&s.as_bytes()[..n]);
        self.len += n;
        Ok(())
    }
}

/// Makes every panic write `file:line: message` to `note` and end the process.
pub fn install(note: *mut Note) {
    NOTE.store(note, Ordering::Relaxed);
    FIRST.with(|first| std::hint::black_box(first).set(1));
    std::panic::set_hook(Box::new(|info| {
        let mut text = Text { bytes: [0; NOTE_TEXT], len: 0 };
        if let Some(place) = info.location() {
            let _ = write!(text, "{}:{}: ", place.file(), place.line());
        }
        let payload = info.payload();
        if let Some(s) = payload.downcast_ref::<&str>() {
            let _ = text.write_str(s);
        } else if let Some(s) = payload.downcast_ref::<String>() {
            let _ = text.write_str(s);
        }
        leave(&text)
    }));
}

/// Ends the process, since the heap is used up.
#[cold]
pub fn out_of_memory() -> ! {
    let note = NOTE.load(Ordering::Relaxed);
    // SAFETY: `note` is null or the worker's note page; `_exit` does not return.
    unsafe {
        if !note.is_null() {
            (*note).kind = NOTE_MEMORY;
        }
        _exit(EXIT_MEMORY)
    }
}

fn leave(text: &Text) -> ! {
    let note = NOTE.load(Ordering::Relaxed);
    // SAFETY: `note` is null or the worker's note page; `_exit` does not return.
    unsafe {
        if !note.is_null() {
            (*note).kind = NOTE_PANIC;
            (*note).len = text.len as u32;
            (*note).text = text.bytes;
        }
        _exit(EXIT_PANIC)
    }
}
