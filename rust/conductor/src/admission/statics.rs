//! Statics whose type can hold a cell: what is written there outlives a call.
//!
//! A type's definition is read as the set of names in it, and followed from name to name. Where a
//! macro makes definitions the names are unknown, and any cell in the file counts. The audit sees
//! the writable section of the object in any case; this rule names the line.

use super::lexer::{Kind, Token};
use std::collections::HashMap;

/// The types of a kernel from which a cell can be reached.
pub struct Types<'a> {
    /// Name of a type -> the cell in it, directly or through other types.
    holders: HashMap<&'a str, &'a str>,
    /// The first cell of the file.
    first: Option<&'a str>,
    /// A macro makes types: their names and contents are unknown.
    generated: bool,
}

/// A definition whose tokens are being read.
struct Item<'a> {
    name: &'a str,
    depth: usize,
    /// Ended by a closing brace too, as a struct is and a `type` is not.
    braced: bool,
}

impl<'a> Types<'a> {
    pub fn read(tokens: &'a [Token<'a>]) -> Self {
        let first = tokens.iter().find(|t| t.is_name() && is_cell(&t.text)).map(|t| &*t.text);
        let mut types = Types { holders: HashMap::new(), first, generated: false };
        let Some(first) = first else { return types };
        // Name -> the types that name it in their definition.
        let mut users: HashMap<&str, Vec<&str>> = HashMap::new();
        let mut items: Vec<Item> = Vec::new();
        let mut depth = 0usize;
        for (i, token) in tokens.iter().enumerate() {
            match &*token.text {
                "(" | "[" | "{" => depth += 1,
                ")" | "]" | "}" => depth = depth.saturating_sub(1),
                _ => {}
            }
            let ends = |item: &Item| {
                (token.is_sign(";") && depth <= item.depth)
                    || (token.is_sign("}")
                        && (depth < item.depth || (item.braced && depth <= item.depth)))
            };
            while items.pop_if(|item| ends(item)).is_some() {}
            let next = tokens.get(i + 1);
            if token.kind == Kind::Word && is_definition(&token.text) {
                match next {
                    Some(name) if name.is_name() => {
                        if let Some(outer) = items.last() {
                            users.entry(&name.text).or_default().push(outer.name);
                        }
                        let braced = token.text != "type";
                        items.push(Item { name: &name.text, depth, braced });
                    }
                    Some(sign) if sign.is_sign("$") => types.generated = true,
                    _ => {}
                }
            } else if token.kind == Kind::Word && token.text == "as" {
                if let (Some(old), Some(new)) = (i.checked_sub(1).map(|b| &tokens[b]), next) {
                    users.entry(&old.text).or_default().push(&new.text);
                }
            } else if let Some(item) = items.last() {
                if token.is_name() {
                    users.entry(&token.text).or_default().push(item.name);
                } else if token.is_sign("$") {
                    types.holders.insert(item.name, first);
                }
            }
        }
        types.spread(&users, tokens);
        types
    }

    /// From each cell to the types that hold it, and on to those that hold them.
    fn spread(&mut self, users: &HashMap<&'a str, Vec<&'a str>>, tokens: &'a [Token<'a>]) {
        let cells = tokens.iter().filter(|t| t.is_name() && is_cell(&t.text));
        let mut reached: Vec<(&str, &str)> = self.holders.iter().map(|(n, c)| (*n, *c)).collect();
        for cell in cells {
            if self.holders.insert(&cell.text, &cell.text).is_none() {
                reached.push((&cell.text, &cell.text));
            }
        }
        while let Some((name, cell)) = reached.pop() {
            for user in users.get(name).into_iter().flatten() {
                if !self.holders.contains_key(user) {
                    self.holders.insert(user, cell);
                    reached.push((user, cell));
                }
            }
        }
    }

    /// A cell that the static at token `at` can hold.
    pub fn find_cell(&self, tokens: &[Token], at: usize) -> Option<&'a str> {
        let first = self.first?;
        let mut depth = 0usize;
        let mut named = false;
        for token in tokens.get(at + 2..)? {
            match (token.kind, &*token.text) {
                (Kind::Sign, "(" | "[" | "{") if depth > 0 || token.text != "{" => depth += 1,
                (Kind::Sign, ")" | "]" | "}") => depth = depth.saturating_sub(1),
                (Kind::Sign, "=" | ";" | "{") if depth == 0 => break,
                (Kind::Word, "static") => break,
                (Kind::Sign, "$" | "!") | (Kind::Word, "dyn" | "impl") => return Some(first),
                (Kind::Word | Kind::RawWord, word) if !is_plain(word) => {
                    named = true;
                    if let Some(cell) = self.holders.get(word) {
                        return Some(cell);
                    }
                }
                _ => {}
            }
        }
        (named && self.generated).then_some(first)
    }
}

fn is_definition(word: &str) -> bool {
    matches!(word, "struct" | "enum" | "union" | "type")
}

/// A type of std or core through which shared memory can be written.
fn is_cell(word: &str) -> bool {
    let bare = word.strip_prefix("Sync").unwrap_or(word).strip_suffix("Cell");
    matches!(bare, Some("" | "Unsafe" | "Ref" | "Once" | "Lazy"))
        || matches!(word, "Mutex" | "RwLock" | "OnceLock" | "LazyLock" | "Once" | "Condvar")
        || word.strip_prefix("Atomic").is_some_and(|rest| !rest.is_empty())
}

fn is_plain(word: &str) -> bool {
    matches!(word, "f32" | "f64" | "bool" | "char" | "str")
        || word
            .strip_prefix(['u', 'i'])
            .is_some_and(|bits| matches!(bits, "8" | "16" | "32" | "64" | "128" | "size"))
}
