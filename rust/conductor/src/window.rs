//! The tables of one window in the plan memory: calls, buffers, ranges to touch.

use crate::container::Pool;
use crate::layout::Slots;
use crate::scratch::MAX_WIPES;
use crate::shm::Shared;
use lar_abi::call::{Prepared, RawCall, RawPart, RawSlice, SlotHeader};
use lar_abi::wire::Range;

/// Where a worker sees the three memories.
#[derive(Clone, Copy)]
pub struct Bases {
    pub plan: u64,
    pub inputs: u64,
    pub outputs: u64,
    pub arena: u64,
    pub stack: u64,
    pub heap: u64,
    pub layout: lar_abi::wire::Layout,
}

/// Worker's addresses of one window's tables.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tables {
    pub calls: u64,
    /// Calls in the table.
    pub armed: u32,
    pub ins: (u64, u32),
    pub outs: (u64, u32),
    pub wipes: (u64, u32),
    /// What wiped memory holds.
    pub fill: u8,
}

/// Bytes that the tables of `calls` calls need at most.
pub fn table_bytes(pool: &Pool, calls: usize) -> usize {
    let args = pool.calls.iter().map(|c| c.args.len()).max().unwrap_or(0);
    let call = size_of::<RawCall>()
        + args * (size_of::<RawSlice>() + size_of::<Range>())
        + pool.parts.len() * (size_of::<RawPart>() + size_of::<Range>());
    calls * (call + 2 * size_of::<Range>()) + MAX_WIPES * size_of::<Range>() + 4096
}

/// Writes plain tables one behind the other.
struct Pen<'a> {
    plan: &'a mut Shared,
    base: u64,
    cursor: usize,
}

impl Pen<'_> {
    /// Appends items; returns the worker's address of the first.
    fn put<T: Copy>(&mut self, items: &[T]) -> u64 {
        let at = self.cursor.next_multiple_of(64);
        let bytes = size_of_val(items);
        let to = &mut self.plan.bytes_mut()[at..at + bytes];
        // SAFETY: `to` has as many bytes as `items`, which are plain data.
        unsafe {
            std::ptr::copy_nonoverlapping(items.as_ptr().cast::<u8>(), to.as_mut_ptr(), bytes);
        }
        self.cursor = at + bytes;
        self.base + at as u64
    }
}

/// Scratch space kept from window to window.
#[derive(Default)]
pub struct Writer {
    args: Vec<RawSlice>,
    parts: Vec<RawPart>,
    ins: Vec<Range>,
    outs: Vec<Range>,
    /// Per input: the last window that listed it.
    seen: Vec<u32>,
    window: u32,
}

impl Writer {
    /// Writes the tables of `calls` with their `slots`; `at` are the offsets of the inputs.
    pub fn write(
        &mut self,
        plan: &mut Shared,
        bases: Bases,
        pool: &Pool,
        at: &[usize],
        calls: &[usize],
        slots: &Slots,
        (wipes, fill): (&[Range], u8),
    ) -> Tables {
        self.gather(bases, pool, at, calls, slots);
        let mut pen = Pen { plan, base: bases.plan, cursor: 0 };
        let args = pen.put(&self.args);
        let parts = pen.put(&self.parts);
        let (mut a, n_parts) = (0, slots.n_parts);
        let raw = |i: usize, a: usize, n_args: usize| RawCall {
            n_args,
            args: (args + (a * size_of::<RawSlice>()) as u64) as *const RawSlice,
            n_parts,
            parts: (parts + (i * n_parts * size_of::<RawPart>()) as u64) as *const RawPart,
            header: (bases.outputs + slots.headers[i] as u64) as *mut SlotHeader,
            prepared: (bases.arena + (i * size_of::<Prepared>()) as u64) as *mut Prepared,
        };
        let first = pen.cursor.next_multiple_of(64);
        pen.cursor = first;
        for (i, &call) in calls.iter().enumerate() {
            let n = pool.calls[call].args.len();
            let call = raw(i, a, n);
            a += n;
            // SAFETY: sized by `table_bytes`; a RawCall is plain data.
            unsafe {
                let to = &mut pen.plan.bytes_mut()[pen.cursor..pen.cursor + size_of::<RawCall>()];
                to.as_mut_ptr().cast::<RawCall>().write_unaligned(call);
            }
            pen.cursor += size_of::<RawCall>();
        }
        self.ins.push(Range { addr: bases.plan, len: pen.cursor as u64 });
        let ins = (pen.put(&self.ins), self.ins.len() as u32);
        let outs = (pen.put(&self.outs), self.outs.len() as u32);
        let wipes = (pen.put(wipes), wipes.len() as u32);
        let (calls, armed) = (bases.plan + first as u64, calls.len() as u32);
        Tables { calls, armed, ins, outs, wipes, fill }
    }

    fn gather(&mut self, bases: Bases, pool: &Pool, at: &[usize], calls: &[usize], slots: &Slots) {
        self.args.clear();
        self.parts.clear();
        self.ins.clear();
        self.outs.clear();
        self.window += 1;
        self.seen.resize(self.seen.len().max(pool.inputs.len()), 0);
        for &call in calls {
            for &i in &pool.calls[call].args {
                let (addr, len) =
                    (bases.inputs + at[i as usize] as u64, pool.inputs[i as usize].len);
                self.args.push(RawSlice { ptr: addr as *const u8, len });
                if self.seen[i as usize] != self.window {
                    self.seen[i as usize] = self.window;
                    self.ins.push(Range { addr, len: len as u64 });
                }
            }
        }
        let part = |&(at, cap): &(usize, usize)| RawPart {
            ptr: (bases.outputs + at as u64) as *mut u8,
            cap,
        };
        self.parts.extend(slots.parts.iter().map(part));
        self.outs.extend(
            slots
                .poison
                .iter()
                .map(|&(at, len)| Range { addr: bases.outputs + at as u64, len: len as u64 }),
        );
    }
}
