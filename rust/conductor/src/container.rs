//! Pool and expected-output files: magic, JSON header, blob.
//!
//! ```text
//! 0..8   LARPOOL3 or LAREXPD3
//! 8..12  length of the JSON, u32 little-endian
//! 12..16 CRC-32 of all that follows
//! 16..   JSON, zero padding to a multiple of 4096, blob
//! ```
//!
//! The checksum finds accidents: a file that was damaged on disk must not be measured with. A process
//! that can write an epoch's directory can also write a fitting sum.

use crate::equality::{RowOrder, Rule};
use crate::shm::Mapped;
use lar_abi::call::{HEADER_BYTES, MAX_PARTS, SlotHeader};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::path::Path;

/// Bytes before the JSON.
const LEAD: usize = 16;

/// Splits an undamaged file into its JSON header and the offset of its blob.
fn split<'a>(bytes: &'a [u8], magic: &[u8; 8], name: &str) -> Result<(&'a [u8], usize), String> {
    let bad = |what: &str| format!("{name}: {what}");
    if bytes.len() < LEAD || &bytes[..8] != magic {
        return Err(bad(&format!("not a {} file", String::from_utf8_lossy(magic))));
    }
    let word = |at: usize| u32::from_le_bytes(std::array::from_fn(|i| bytes[at + i]));
    let len = word(8) as usize;
    let json = bytes.get(LEAD..LEAD + len).ok_or_else(|| bad("header beyond the end"))?;
    if crc32fast::hash(&bytes[LEAD..]) != word(12) {
        return Err(bad("damaged: its checksum does not fit"));
    }
    Ok((json, (LEAD + len).next_multiple_of(4096)))
}

#[derive(Deserialize)]
struct PoolJson {
    v: u32,
    combo: String,
    op: u32,
    parts: Vec<PartJson>,
    /// None: every part is compared on its own, as it lies.
    #[serde(deserialize_with = "Option::deserialize")]
    rows: Option<RowOrder>,
    calls: Vec<CallJson>,
    /// Bytes of an element of each argument.
    arg_elem: Vec<usize>,
    /// What the address of each argument is a multiple of, if the call site guarantees more.
    #[serde(default)]
    arg_align: Vec<usize>,
    window_bytes: usize,
    blob_len: usize,
}

#[derive(Deserialize)]
struct PartJson {
    rule: String,
    elem: usize,
    align: usize,
    #[serde(default)]
    align_min: usize,
}

#[derive(Deserialize)]
struct CallJson {
    args: Vec<(usize, usize)>,
    caps: Vec<usize>,
    /// Rule `tieband`: sorted ids of all rows at the last distance.
    #[serde(default)]
    ties: Option<Vec<u64>>,
}

/// How one output part is placed and compared.
#[derive(Clone, Debug)]
pub struct Part {
    pub rule: Rule,
    /// Bytes of one element.
    pub elem: usize,
    /// Alignment phase of its start within a line.
    pub align: usize,
    /// What its address is a multiple of: the size of an element, or what the call site guarantees.
    pub step: usize,
}

/// One input of a pool; several calls may share it.
#[derive(Clone, Copy, Debug)]
pub struct Input {
    /// Offset within the blob.
    pub at: usize,
    pub len: usize,
    /// What its address is a multiple of, bytes: the size of an element, or what the call site
    /// guarantees.
    pub step: usize,
}

/// One call: numbers of its inputs, capacities of its parts.
pub struct PoolCall {
    pub args: Vec<u32>,
    pub caps: Vec<usize>,
    /// Rule `tieband`: the tied ids as little-endian bytes; they go into the expected file.
    pub ties: Option<Vec<u8>>,
}

/// All inputs of one combo.
pub struct Pool {
    file: Mapped,
    blob: usize,
    pub combo: String,
    pub op: u32,
    pub parts: Vec<Part>,
    /// How the rows of a top-k result are read; None if the parts are no such rows.
    pub rows: Option<RowOrder>,
    pub inputs: Vec<Input>,
    pub calls: Vec<PoolCall>,
    /// What one window may touch, bytes.
    pub window: usize,
}

impl Pool {
    /// Reads and checks `path`: every offset in bounds, every rule known.
    pub fn open(path: &Path) -> Result<Self, String> {
        let name = path.display().to_string();
        let file = Mapped::open(path)?;
        let (json, blob) = split(file.bytes(), b"LARPOOL3", &name)?;
        let json: PoolJson = serde_json::from_slice(json).map_err(|e| format!("{name}: {e}"))?;
        let fail = |what: String| Err(format!("{name}: {what}"));
        if json.v != 1 {
            return fail(format!("version {} (known: 1)", json.v));
        }
        if json.calls.is_empty() || json.parts.is_empty() || json.parts.len() > MAX_PARTS {
            return fail(format!("needs calls and 1 to {MAX_PARTS} parts"));
        }
        if blob.checked_add(json.blob_len).is_none_or(|end| end > file.bytes().len()) {
            return fail("blob beyond the end of the file".into());
        }
        let parts = json.parts.iter().map(part).collect::<Result<Vec<_>, _>>()?;
        let (inputs, calls) = index(&json, parts.len()).map_err(|e| format!("{name}: {e}"))?;
        let window = json.window_bytes;
        let rows = json.rows;
        let shaped = matches!(&parts[..], [dist, ids]
            if (dist.elem, ids.elem, ids.rule) == (4, 8, Rule::TieBand) && dist.rule != Rule::TieBand);
        let tied = parts.iter().any(|part| part.rule == Rule::TieBand);
        if (rows.is_some() || tied) && !(rows.is_some() && shaped) {
            return fail("rows are distances of 4 bytes, then ids of 8 with rule tieband".into());
        }
        let (combo, op) = (json.combo, json.op);
        Ok(Pool { file, blob, combo, op, parts, rows, inputs, calls, window })
    }

    /// The bytes of input number `i`.
    pub fn input(&self, i: usize) -> &[u8] {
        let Input { at, len, .. } = self.inputs[i];
        &self.file.bytes()[self.blob + at..self.blob + at + len]
    }
}

fn part(json: &PartJson) -> Result<Part, String> {
    let step = json.elem.max(json.align_min);
    if !matches!(json.elem, 1 | 2 | 4 | 8)
        || !(step.is_power_of_two() && step <= 64)
        || json.align >= 64
        || !json.align.is_multiple_of(step)
    {
        return Err(format!("part of {} bytes at phase {}", json.elem, json.align));
    }
    Ok(Part { rule: Rule::parse(&json.rule)?, elem: json.elem, align: json.align, step })
}

/// Numbers the distinct inputs.
fn index(json: &PoolJson, n_parts: usize) -> Result<(Vec<Input>, Vec<PoolCall>), String> {
    let mut numbers = HashMap::new();
    let mut inputs = Vec::new();
    let mut calls = Vec::with_capacity(json.calls.len());
    for (i, call) in json.calls.iter().enumerate() {
        if call.caps.len() != n_parts {
            return Err(format!("call {i} has {} capacities", call.caps.len()));
        }
        let mut args = Vec::with_capacity(call.args.len());
        for (j, &(at, len)) in call.args.iter().enumerate() {
            if at.checked_add(len).is_none_or(|end| end > json.blob_len) {
                return Err(format!("call {i} argument {j} lies beyond the blob"));
            }
            let elem = json.arg_elem.get(j).copied().unwrap_or(0);
            if elem == 0 || !64_usize.is_multiple_of(elem) {
                return Err(format!("call {i} argument {j} has elements of {elem} bytes"));
            }
            let step = elem.max(json.arg_align.get(j).copied().unwrap_or(0));
            if !step.is_power_of_two() || step > 64 {
                return Err(format!("call {i} argument {j} begins at multiples of {step} bytes"));
            }
            args.push(*numbers.entry((at, len, step)).or_insert_with(|| {
                inputs.push(Input { at, len, step });
                inputs.len() as u32 - 1
            }));
        }
        let ties =
            call.ties.as_ref().map(|ids| ids.iter().flat_map(|id| id.to_le_bytes()).collect());
        calls.push(PoolCall { args, caps: call.caps.clone(), ties });
    }
    Ok((inputs, calls))
}

#[derive(Serialize, Deserialize)]
struct ExpectedJson {
    v: u32,
    combo: String,
    calls: Vec<ExpectedCallJson>,
    blob_len: usize,
}

#[derive(Serialize, Deserialize)]
struct ExpectedCallJson {
    header: usize,
    parts: Vec<(usize, usize)>,
}

/// Upstream's outputs for one pool. A part beyond the pool's own is its list of tied ids.
pub struct Expected {
    file: Mapped,
    blob: usize,
    combo: String,
    calls: Vec<(SlotHeader, Vec<(usize, usize)>)>,
}

impl Expected {
    /// Reads `path` and checks that it answers every call of `pool`.
    pub fn open(path: &Path, pool: &Pool) -> Result<Self, String> {
        let name = path.display().to_string();
        let file = Mapped::open(path)?;
        let (json, blob) = split(file.bytes(), b"LAREXPD3", &name)?;
        let json: ExpectedJson =
            serde_json::from_slice(json).map_err(|e| format!("{name}: {e}"))?;
        if json.v != 1 || json.combo != pool.combo || json.calls.len() != pool.calls.len() {
            return Err(format!("{name}: does not answer pool `{}`", pool.combo));
        }
        let body = &file.bytes()[blob.min(file.bytes().len())..];
        let mut calls = Vec::with_capacity(json.calls.len());
        for call in json.calls {
            let head = body.get(call.header..call.header + HEADER_BYTES);
            let inside = call
                .parts
                .iter()
                .all(|&(at, len)| at.checked_add(len).is_some_and(|end| end <= body.len()));
            match head {
                Some(head) if inside && call.parts.len() >= pool.parts.len() => {
                    calls.push((header_of(head), call.parts));
                }
                _ => return Err(format!("{name}: an answer lies beyond the file")),
            }
        }
        Ok(Expected { file, blob, combo: json.combo, calls })
    }

    /// Whether it has as many calls and parts as `pool`.
    pub fn answers(&self, pool: &Pool) -> bool {
        self.combo == pool.combo
            && self.calls.len() == pool.calls.len()
            && self.calls.iter().all(|c| c.1.len() >= pool.parts.len())
    }

    /// The header that call `i` must end with.
    pub fn header(&self, i: usize) -> SlotHeader {
        self.calls[i].0
    }

    /// The bytes of part `p` of call `i`; None if the file has no such part.
    pub fn part(&self, i: usize, p: usize) -> Option<&[u8]> {
        let &(at, len) = self.calls[i].1.get(p)?;
        Some(&self.file.bytes()[self.blob + at..self.blob + at + len])
    }
}

/// A header from its 64 bytes.
pub fn header_of(bytes: &[u8]) -> SlotHeader {
    let word = |i: usize| {
        let mut b = [0; 8];
        b.copy_from_slice(&bytes[i * 8..i * 8 + 8]);
        u64::from_le_bytes(b)
    };
    SlotHeader { status: word(0), len: std::array::from_fn(|i| word(i + 1)) }
}

/// Gathers upstream's outputs and writes them as an expected-output file.
pub struct ExpectedWriter {
    json: ExpectedJson,
    blob: Vec<u8>,
}

impl ExpectedWriter {
    /// For the pool of this combo.
    pub fn new(combo: &str) -> Self {
        let json = ExpectedJson { v: 1, combo: combo.into(), calls: vec![], blob_len: 0 };
        ExpectedWriter { json, blob: vec![] }
    }

    /// Adds the next call's header and written parts.
    pub fn push<'a>(&mut self, header: &[u8], parts: impl Iterator<Item = &'a [u8]>) {
        let at = self.put(header);
        let parts = parts.map(|p| (self.put(p), p.len())).collect();
        self.json.calls.push(ExpectedCallJson { header: at, parts });
    }

    fn put(&mut self, bytes: &[u8]) -> usize {
        let at = self.blob.len();
        self.blob.extend_from_slice(bytes);
        self.blob.resize(self.blob.len().next_multiple_of(64), 0);
        at
    }

    /// Writes the file; it appears whole or not at all.
    pub fn write(mut self, path: &Path) -> Result<(), String> {
        self.json.blob_len = self.blob.len();
        let json = serde_json::to_vec(&self.json).map_err(|e| e.to_string())?;
        let mut bytes = b"LAREXPD3".to_vec();
        bytes.extend((json.len() as u32).to_le_bytes());
        bytes.extend([0; 4]);
        bytes.extend(json);
        bytes.resize(bytes.len().next_multiple_of(4096), 0);
        bytes.extend(self.blob);
        let sum = crc32fast::hash(&bytes[LEAD..]);
        bytes[12..LEAD].copy_from_slice(&sum.to_le_bytes());
        let part = path.with_extension("expected-part");
        std::fs::write(&part, bytes)
            .and_then(|()| std::fs::rename(&part, path))
            .map_err(|e| format!("{}: {e}", path.display()))
    }
}
