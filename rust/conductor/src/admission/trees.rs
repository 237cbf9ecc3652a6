//! Where a token stands: in an attribute, in a group behind `std::`, or in a macro that may take
//! its arguments apart.

use super::lexer::{Kind, Token};
use std::collections::HashSet;

/// The open delimiters around the present token.
pub struct Trees<'a> {
    tokens: &'a [Token<'a>],
    open: Vec<Tree>,
    /// Macros of std whose arguments are expressions, and which the kernel does not redefine.
    plain: HashSet<&'a str>,
    /// The next group's first token, and the root that stands before it.
    group: Option<(usize, usize)>,
    /// `macro name(...)`: own macros may look like anything.
    all_hostile: bool,
}

struct Tree {
    attribute: bool,
    hostile: bool,
    /// Index of the root of `root::{...}`.
    root: Option<usize>,
}

impl<'a> Trees<'a> {
    pub fn new(tokens: &'a [Token<'a>], plain_macros: &'a HashSet<String>) -> Self {
        let mut plain: HashSet<&str> = plain_macros.iter().map(String::as_str).collect();
        let sign = |i: usize, signs: &[&str]| {
            tokens.get(i).is_some_and(|t: &Token| signs.contains(&&*t.text))
        };
        for (i, token) in tokens.iter().enumerate() {
            // Any mention but a call may define or import another macro of that name.
            if token.is_name() && !(sign(i + 1, &["!"]) && sign(i + 2, &["(", "[", "{"])) {
                plain.remove(&*token.text);
            }
        }
        let all_hostile = tokens.iter().any(|t| t.kind == Kind::Word && t.text == "macro");
        Trees { tokens, open: Vec::new(), plain, group: None, all_hostile }
    }

    /// How many delimiters are open.
    pub fn depth(&self) -> usize {
        self.open.len()
    }

    /// Inside `#[...]` or `#![...]`.
    pub fn is_attribute(&self) -> bool {
        self.open.last().is_some_and(|t| t.attribute)
    }

    /// Inside a macro that is not known to keep its arguments in order: one of the kernel's own.
    pub fn is_hostile(&self) -> bool {
        self.all_hostile || self.open.last().is_some_and(|t| t.hostile)
    }

    /// The group that opens at token `at` stands behind the root at `root`.
    pub fn expect_group(&mut self, at: usize, root: usize) {
        self.group = Some((at, root));
    }

    /// The root whose group names token `i` as one of its own.
    pub fn segment_of(&self, i: usize) -> Option<usize> {
        let root = self.open.last()?.root?;
        let begins = matches!(self.text(i.checked_sub(1)?), "{" | ",");
        (begins && !matches!(self.text(i), "{" | "," | "}")).then_some(root)
    }

    /// Goes on to token `i`.
    pub fn step(&mut self, i: usize) {
        if self.tokens[i].kind != Kind::Sign {
            return;
        }
        match &*self.tokens[i].text {
            "(" | "[" | "{" => {
                let attribute = self.is_attribute() || self.begins_attribute(i);
                let hostile = self.is_hostile() || self.begins_macro(i);
                let root = self.root_at(i);
                self.open.push(Tree { attribute, hostile, root });
            }
            ")" | "]" | "}" => {
                self.open.pop();
            }
            _ => {}
        }
    }

    fn text(&self, i: usize) -> &str {
        self.tokens.get(i).map_or("", |t| &t.text)
    }

    fn begins_attribute(&self, i: usize) -> bool {
        let before = |n: usize| i.checked_sub(n).map_or("", |at| self.text(at));
        self.text(i) == "[" && (before(1) == "#" || (before(1) == "!" && before(2) == "#"))
    }

    /// `name!(`, unless it is a plain macro of std, and `macro_rules! name {`.
    fn begins_macro(&self, i: usize) -> bool {
        let before = |n: usize| i.checked_sub(n).map(|at| &self.tokens[at]);
        let is_macro = |t: Option<&Token>| t.is_some_and(|t| t.is_name() && !is_keyword(t));
        match (before(1), before(2)) {
            (Some(sign), name) if sign.is_sign("!") => {
                is_macro(name) && !name.is_some_and(|n| self.plain.contains(&*n.text))
            }
            (Some(name), Some(sign)) if sign.is_sign("!") => name.is_name() && is_macro(before(3)),
            _ => false,
        }
    }

    /// The root of a group that begins here: `std::{`, or the inner one of `std::{{`.
    fn root_at(&mut self, i: usize) -> Option<usize> {
        if let Some((_, root)) = self.group.take_if(|(at, _)| *at == i) {
            return Some(root);
        }
        let outer = self.open.last()?.root?;
        let nested = matches!(self.text(i.checked_sub(1)?), "{" | ",");
        (nested && self.text(i) == "{").then_some(outer)
    }
}

/// Whether one of the places, given as numbers of tokens before it, lies inside an own macro.
pub fn is_any_hostile(tokens: &[Token], places: &[usize], plain: &HashSet<String>) -> bool {
    let mut trees = Trees::new(tokens, plain);
    let mut next = 0;
    places.iter().any(|&place| {
        for i in next..place {
            trees.step(i);
        }
        next = place;
        trees.is_hostile()
    })
}

/// A strict keyword of edition 2024: no name, unless it is written `r#name`.
pub fn is_keyword(token: &Token) -> bool {
    const WORDS: [&str; 51] = [
        "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "crate",
        "do", "dyn", "else", "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl",
        "in", "let", "loop", "macro", "match", "mod", "move", "mut", "override", "priv", "pub",
        "ref", "return", "self", "Self", "static", "struct", "super", "trait", "true", "try",
        "type", "typeof", "unsafe", "unsized", "use", "virtual", "where", "while",
    ];
    token.kind == Kind::Word && (WORDS.contains(&&*token.text) || token.text == "yield")
}
