//! `admit` and `tokens`: a kernel's text, read from standard input, before anything is built.
//!
//! ```text
//! lar-conductor admit RULES < kernels.rs    the first thing that RULES (JSON) forbids, or none
//! lar-conductor tokens < kernels.rs         [[kind, text, line], ...]
//! ```
//!
//! The lists of names come from Python's `judge.admission`, as every number of a measurement does;
//! this program has none of its own. One pass over the tokens and one over the types: the time is
//! linear in the text, whatever it holds.

mod lexer;
mod rules;
mod statics;
mod trees;

use lexer::{Kind, LexError, Token};
use rules::{Names, Refusal, Rule};
use serde_json::{Value, json};
use std::borrow::Cow;
use std::io::Read;

use crate::protocol::VERSION;
use crate::stop::{Failure, FailureCode};

/// Runs `admit RULES` or `tokens`; prints one JSON object.
pub fn main(args: &[&str]) -> i32 {
    let mut bytes = Vec::new();
    if let Err(error) = std::io::stdin().lock().read_to_end(&mut bytes) {
        return fail(FailureCode::System, format!("standard input: {error}"));
    }
    match args {
        ["admit", rules] => match serde_json::from_str::<Names>(rules) {
            Ok(names) => println!("{}", admit(&bytes, &names)),
            Err(error) => return fail(FailureCode::BadCommand, format!("rules: {error}")),
        },
        ["tokens"] => println!("{}", list_tokens(&bytes)),
        _ => return fail(FailureCode::BadCommand, "admit RULES | tokens".into()),
    }
    0
}

fn fail(code: FailureCode, detail: String) -> i32 {
    println!("{}", crate::protocol::error(&Failure::new(code, detail)));
    70
}

fn admit(bytes: &[u8], names: &Names) -> Value {
    let none = json!({"v": VERSION, "ok": true, "refusal": null, "enabled": [], "capitals": []});
    let refuse = |refusal: Refusal| json!({"v": VERSION, "ok": true, "refusal": refusal, "enabled": [], "capitals": []});
    let source = match decode(bytes) {
        Ok(source) => source,
        Err(refusal) => return refuse(refusal),
    };
    let tokens = match lexer::lex(&source) {
        Ok(tokens) => tokens,
        Err(LexError { what, line }) => return refuse(Refusal::new(Rule::Lexer, what, line)),
    };
    if let Some(refusal) = rules::check(&tokens, names) {
        return refuse(refusal);
    }
    let enabled = list_enabled(&tokens);
    if enabled.is_empty() {
        return none;
    }
    let capitals: std::collections::BTreeSet<&str> = tokens
        .iter()
        .filter(|t| t.is_name() && t.text.starts_with(char::is_uppercase))
        .map(|t| &*t.text)
        .collect();
    json!({"v": VERSION, "ok": true, "refusal": null, "enabled": enabled, "capitals": capitals})
}

/// The text as rustc sees it (`\r\n` is one line end), without what hides from its reader.
fn decode(bytes: &[u8]) -> Result<Cow<'_, str>, Refusal> {
    let line_at = |end: usize| 1 + bytes[..end].iter().filter(|b| **b == b'\n').count() as u32;
    let text = std::str::from_utf8(bytes)
        .map_err(|e| Refusal::new(Rule::NotUtf8, "", line_at(e.valid_up_to())))?;
    if let Some((at, c)) = text.char_indices().find(|(_, c)| is_hidden(*c)) {
        let code = format!("{:X}", u32::from(c));
        return Err(Refusal { start: at == 0, ..Refusal::new(Rule::Hidden, &code, line_at(at)) });
    }
    Ok(if text.contains("\r\n") { text.replace("\r\n", "\n").into() } else { text.into() })
}

/// NUL, zero-width characters, marks and overrides of direction, the byte order mark.
fn is_hidden(c: char) -> bool {
    matches!(c, '\0' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        | '\u{feff}')
}

/// (line, feature) of each `enable = "a,b"`.
fn list_enabled<'a>(tokens: &'a [Token]) -> Vec<(u32, &'a str)> {
    let mut found = Vec::new();
    for three in tokens.windows(3) {
        if three[0].is_name() && three[0].text == "enable" && three[1].is_sign("=") {
            let text: &str = &three[2].text;
            let (Some(begin), Some(end)) = (text.find('"'), text.rfind('"')) else { continue };
            if three[2].kind == Kind::Text && begin < end {
                let features = text[begin + 1..end].split(',').map(str::trim);
                found.extend(features.map(|f| (three[0].line, f)));
            }
        }
    }
    found
}

/// All tokens up to the first that rustc refuses; bytes that are not UTF-8 are replaced.
fn list_tokens(bytes: &[u8]) -> Value {
    let source = String::from_utf8_lossy(bytes);
    let source = source.strip_prefix('\u{feff}').unwrap_or(&source).replace("\r\n", "\n");
    match lexer::lex(&source) {
        Ok(tokens) => {
            let rows: Vec<Value> =
                tokens.iter().map(|t| json!([kind_name(t.kind), t.text, t.line])).collect();
            json!({"v": VERSION, "ok": true, "tokens": rows, "refused": null})
        }
        Err(LexError { what, line }) => {
            json!({"v": VERSION, "ok": true, "tokens": [], "refused": [what, line]})
        }
    }
}

fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Word | Kind::RawWord => "word",
        Kind::Text => "text",
        Kind::Life => "life",
        Kind::Number => "number",
        Kind::Sign => "sign",
    }
}
