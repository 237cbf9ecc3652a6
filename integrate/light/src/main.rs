//! FSST strings, compressed and decompressed by Lance's own crate `fsst` with the hook in it: the same
//! machinery as whole queries in Lance, built in seconds.
//!
//! ```text
//! lar-light classes | datasets
//! lar-light make DIRECTORY NAME
//! lar-light serve DIRECTORY --features WORD [--hook TARGET[:OP,OP]=LIBRARY].. CLASS..
//! ```

mod targets;

use lar_serve::{Answer, Arguments, Hasher, Program};
use std::path::Path;
use std::process::ExitCode;

const NAMES: [&str; 2] = ["short", "long"];
const CHUNKS: usize = 400;
const TABLE: usize = 2312;

/// One dataset: a symbol table, and chunks of compressed strings with their offsets.
struct Set {
    name: &'static str,
    table: Vec<u8>,
    chunks: Vec<(Vec<u8>, Vec<i32>)>,
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// Strings of `parts` syllables: the same on every machine.
fn make_strings(seed: u64, count: usize, parts: usize) -> (Vec<u8>, Vec<i32>) {
    let syllables = ["ba", "len", "dor", "kai", "mist", "ro", "ten", "u", "vas", "zel", " ", "q"];
    let (mut state, mut bytes, mut offsets) = (seed, Vec::new(), vec![0]);
    for _ in 0..count {
        for _ in 0..parts + (state % 3) as usize {
            state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
            bytes.extend(syllables[(state >> 33) as usize % syllables.len()].bytes());
        }
        offsets.push(bytes.len() as i32);
    }
    (bytes, offsets)
}

fn make(directory: &Path, name: &str) -> Result<(), String> {
    let parts = match name {
        "short" => 4,
        "long" => 60,
        _ => return Err(format!("no dataset '{name}'")),
    };
    let per_chunk = 4096 / parts;
    let (bytes, offsets) = make_strings(9, CHUNKS * per_chunk, parts);
    let (mut codes, mut places) = (vec![0; 2 * bytes.len()], vec![0i32; offsets.len()]);
    let mut table = vec![0; TABLE];
    fsst::fsst::compress(&mut table, &bytes, &offsets, &mut codes, &mut places).map_err(text)?;
    let place = directory.join(name);
    std::fs::create_dir_all(&place).map_err(text)?;
    let flat: Vec<u8> = places.iter().flat_map(|place| place.to_le_bytes()).collect();
    let files: [(&str, &[u8]); 3] = [("table", &table), ("codes", &codes), ("offsets", &flat)];
    files.iter().try_for_each(|(file, data)| std::fs::write(place.join(file), data).map_err(text))
}

fn open(directory: &Path, name: &'static str) -> Result<Set, String> {
    let read = |file: &str| std::fs::read(directory.join(name).join(file)).map_err(text);
    let (table, codes, flat) = (read("table")?, read("codes")?, read("offsets")?);
    let places: Vec<i32> =
        flat.as_chunks::<4>().0.iter().map(|bytes| i32::from_le_bytes(*bytes)).collect();
    let per_chunk = (places.len() - 1) / CHUNKS;
    let chunks = (0..CHUNKS)
        .map(|chunk| {
            let places = &places[chunk * per_chunk..=(chunk + 1) * per_chunk];
            let (from, to) = (places[0], places[per_chunk]);
            let bytes = codes[from as usize..to as usize].to_vec();
            (bytes, places.iter().map(|place| place - from).collect())
        })
        .collect();
    Ok(Set { name, table, chunks })
}

struct Light(Vec<Set>);

/// Chunks that one query decodes.
const SPAN: usize = 40;

impl Program for Light {
    type Raw = Vec<(Vec<u8>, Vec<i32>)>;

    fn run(&mut self, class: &str, first: usize, count: usize) -> Result<Vec<Self::Raw>, String> {
        let set = self.0.iter().find(|set| set.name == class).ok_or("this class is not open")?;
        (first..first + count)
            .map(|query| (0..SPAN).map(|i| decode(set, (query * SPAN + i) % CHUNKS)).collect())
            .collect()
    }

    fn answer(&self, _class: &str, raw: &Self::Raw) -> Result<Answer, String> {
        let mut hash = Hasher::default();
        for (bytes, offsets) in raw {
            for ends in offsets.windows(2) {
                hash.add(&bytes[ends[0] as usize..ends[1] as usize]);
            }
        }
        Ok(Answer::Values(hash))
    }
}

fn decode(set: &Set, chunk: usize) -> Result<(Vec<u8>, Vec<i32>), String> {
    let (codes, places) = &set.chunks[chunk];
    let (mut bytes, mut offsets) = (vec![0; 8 * codes.len()], vec![0; places.len()]);
    fsst::fsst::decompress(&set.table, codes, places, &mut bytes, &mut offsets).map_err(text)?;
    Ok((bytes, offsets))
}

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let verb = words.next().unwrap_or_default();
    match run(&verb, words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{verb}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(verb: &str, mut words: impl Iterator<Item = String>) -> Result<(), String> {
    match verb {
        "classes" => NAMES.iter().for_each(|name| println!("{name} {name}")),
        "datasets" => NAMES.iter().for_each(|name| println!("{name}")),
        "make" => {
            let (directory, name) = words.next().zip(words.next()).ok_or("make DIRECTORY NAME")?;
            make(Path::new(&directory), &name)?;
        }
        "serve" => {
            let arguments = Arguments::read(words, targets::install)?;
            let wanted = NAMES.into_iter().filter(|name| arguments.classes.iter().any(|c| c == name));
            let sets: Result<Vec<_>, _> =
                wanted.map(|name| open(Path::new(&arguments.data), name)).collect();
            lar_serve::run(Light(sets?), &arguments.watched).map_err(text)?;
        }
        _ => return Err("classes, datasets, make or serve".into()),
    }
    Ok(())
}
