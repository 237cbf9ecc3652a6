//! `audit`: the undefined symbols and sections of an object file, the exports of a library.

use crate::stop::{Failure, FailureCode};
use object::{Object, ObjectSection, ObjectSymbol, SectionFlags, SectionKind};
use serde_json::{Value, json};
use std::path::Path;

/// Runs `audit OBJECT [--lib SO]`; prints one JSON object.
pub fn main(args: &[&str]) -> i32 {
    let (object, lib) = match args {
        [object] => (object, None),
        [object, "--lib", lib] | ["--lib", lib, object] => (object, Some(lib)),
        _ => {
            eprintln!("usage: lar-conductor audit OBJECT [--lib SO]");
            return 64;
        }
    };
    match report(Path::new(object), lib.map(Path::new)) {
        Ok(report) => {
            println!("{report}");
            0
        }
        Err(error) => {
            println!("{}", crate::protocol::error(&Failure::new(FailureCode::BadFile, error)));
            70
        }
    }
}

fn report(object: &Path, lib: Option<&Path>) -> Result<Value, String> {
    let bytes = read(object)?;
    let file = parse(&bytes, object)?;
    let mut undefined: Vec<String> = file
        .symbols()
        .filter(|s| s.is_undefined())
        .filter_map(|s| s.name().ok())
        .filter(|name| !name.is_empty())
        .map(demangled)
        .collect();
    undefined.sort();
    undefined.dedup();
    let exports = match lib {
        Some(lib) => exports(&parse(&read(lib)?, lib)?)?,
        None => vec![],
    };
    let text: u64 =
        file.sections().filter(|s| s.kind() == SectionKind::Text).map(|s| s.size()).sum();
    Ok(json!({"v": 1, "ok": true, "undefined": undefined, "sections": sections(&file),
              "exports": exports, "text_bytes": text, "extensions": crate::extensions::beyond(&file)}))
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|e| format!("{}: {e}", path.display()))
}

fn parse<'a>(bytes: &'a [u8], path: &Path) -> Result<object::File<'a>, String> {
    object::File::parse(bytes).map_err(|e| format!("{}: {e}", path.display()))
}

/// A symbol as people write it.
pub fn demangled(name: &str) -> String {
    format!("{:#}", rustc_demangle::demangle(name))
}

fn sections(file: &object::File) -> Vec<Value> {
    let one = |s: object::Section| {
        let flags = match s.flags() {
            SectionFlags::Elf { sh_flags, .. } => letters(sh_flags.0),
            _ => String::new(),
        };
        json!({"name": s.name().unwrap_or("?"), "size": s.size(), "flags": flags})
    };
    file.sections().map(one).collect()
}

/// `readelf`'s letters for the flags that matter: write, allocate, execute, thread-local.
fn letters(flags: u64) -> String {
    [(1, 'W'), (2, 'A'), (4, 'X'), (0x400, 'T')]
        .iter()
        .filter(|(bit, _)| flags & bit != 0)
        .map(|(_, letter)| *letter)
        .collect()
}

fn exports(file: &object::File) -> Result<Vec<String>, String> {
    let exports = file.exports().map_err(|e| e.to_string())?;
    let mut names = Vec::new();
    for export in exports {
        if let object::read::NameOrOrdinal::Name(name) = export.map_err(|e| e.to_string())?.name() {
            names.push(String::from_utf8_lossy(name).into_owned());
        }
    }
    names.sort();
    Ok(names)
}
