//! How Lance takes rows from the mini-block chunks of one page: `DecodeMiniBlockTask::decode`.
//!
//! take_fsst      table, page, chunks, ranges, [chunk, ...] -> bytes, offsets i32
//! take_i32       page, chunks, ranges -> bytes, offsets i32      (strings as they are)
//! take_i64       page, chunks, ranges -> bytes, offsets i64
//! take_bitpack   [bits of a value], page, chunks, ranges -> values
//!
//! chunks u64[n, 4]: first byte in the page, length, values, number of ranges. ranges u32[m, 2].
//!
//! **The one difference from Lance that is allowed.** Lance decodes whole chunks, so it refuses a
//! chunk for an escape without its byte in a row that nobody asked for. A kernel that decodes only
//! the rows asked for cannot see it. Such calls carry a second page, in which those escapes are
//! repaired. A kernel that refuses the first page as corrupt, as Lance does, is asked for the same
//! rows of the second page, and that is its answer; a kernel that answers must give those rows. So
//! both are equal, and nothing else is: not another kind of failure, and not other rows.
use lar_shim::{Call, Inputs};
use prelude::{Picks, TakeErr};

type Taken = Result<usize, TakeErr>;

fn picks<'a>(call: &Inputs<'a>, page: &'a [u8], at: usize) -> Picks<'a> {
    let (chunks, _) = call.u64s(at).as_chunks::<4>();
    let (ranges, _) = call.u32s(at + 1).as_chunks::<2>();
    Picks { page, chunks, ranges }
}

/// On success the bytes written and all offsets count; on failure only its kind does.
fn finish(call: &mut Call, result: Taken, offsets: usize) {
    match result {
        Ok(bytes) => {
            call.set_len(0, bytes);
            if offsets > 0 {
                call.set_len(1, offsets);
            }
        }
        Err(kind) => call.fail(kind as u64),
    }
}

/// `out` has 8 bytes of room for each code of the rows, and `SLACK` bytes more; `out_off` has room for
/// one offset more than there are rows. Repaired page: argument 4, empty if there is none.
pub fn take_fsst(call: &mut Call) {
    let (table, rows, repaired) = (call.bytes(0), picks(call, call.bytes(1), 2), call.bytes(4));
    let (out, out_off) = (call.out_uninit(0), call.out_i32s(1));
    let mut result = kernels::take_fsst(table, rows, out, out_off);
    if !repaired.is_empty() && result == Err(TakeErr::Corrupt) {
        result = kernels::take_fsst(table, Picks { page: repaired, ..rows }, out, out_off);
    }
    finish(call, result, size_of_val(out_off));
}

/// `out` has room for the bytes of the rows and `SLACK` bytes more, unless Lance refuses the call;
/// `out_off` has room for one offset more than there are rows.
pub fn take_i32(call: &mut Call) {
    let rows = picks(call, call.bytes(0), 1);
    let (out, out_off) = (call.out_uninit(0), call.out_i32s(1));
    let result = kernels::take_i32(rows, out, out_off);
    finish(call, result, size_of_val(out_off));
}

pub fn take_i64(call: &mut Call) {
    let rows = picks(call, call.bytes(0), 1);
    let (out, out_off) = (call.out_uninit(0), call.out_i64s(1));
    let result = kernels::take_i64(rows, out, out_off);
    finish(call, result, size_of_val(out_off));
}

/// `out` has room for the values and `SLACK` bytes more.
pub fn take_bitpack(call: &mut Call) {
    let (bits, rows) = (call.u64(0) as usize, picks(call, call.bytes(1), 2));
    let out = call.out_uninit(0);
    let result = kernels::take_bitpack(bits, rows, out);
    finish(call, result, 0);
}

lar_shim::ops!(take_fsst, take_i32, take_i64, take_bitpack);
