//! What a kernel's words may be, token by token; the reasons stand in Python's `judge.admission`.

use super::lexer::{Kind, Token};
use super::statics::Types;
use super::trees::{Trees, is_keyword};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;

/// The lists of Python's `judge.admission`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Names {
    /// Refused anywhere.
    pub anywhere: HashSet<String>,
    /// Keywords that are refused; `r#name` is none.
    pub keywords: HashSet<String>,
    /// Macros refused where they are called or imported, and inside macros of the kernel's own if
    /// these can put a call together from their arguments.
    pub hidden_macros: HashSet<String>,
    /// Attributes refused where one stands, where it is imported, and in such macros.
    pub hidden_attributes: HashSet<String>,
    /// Macros refused where they are called or imported.
    pub macros: HashSet<String>,
    /// Modules of std and core that may not be named.
    pub modules: HashSet<String>,
    pub attributes: HashSet<String>,
    pub inner_attributes: HashSet<String>,
    /// Refused in a kernel whose macros write attributes from their arguments.
    pub attribute_words: HashSet<String>,
    /// Of `lar_shim`.
    pub shim: HashSet<String>,
    /// Macros of std whose arguments are plain expressions.
    pub plain_macros: HashSet<String>,
    pub max_nesting: usize,
}

/// Which rule refuses. Names on the wire are those of Python's `judge.admission.Rule`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    NotUtf8,
    Hidden,
    Lexer,
    Empty,
    Nesting,
    Word,
    Macro,
    AttributeWord,
    RootAlias,
    RootGlob,
    Shim,
    Module,
    ModFile,
    Stream,
    StaticMut,
    StaticCell,
    Attribute,
    InnerAttribute,
    Metavariable,
}

/// A refused token.
#[derive(Debug, Serialize)]
pub struct Refusal {
    pub rule: Rule,
    /// The word that is refused, as the rule names it.
    pub word: String,
    /// What stands beside it: the root of a path, the cell of a static.
    pub beside: String,
    pub line: u32,
    /// It is the first character of the text.
    pub start: bool,
}

impl Refusal {
    pub fn new(rule: Rule, word: &str, line: u32) -> Self {
        Refusal { rule, word: shorten(word), beside: String::new(), line, start: false }
    }

    fn beside(self, beside: &str) -> Self {
        Refusal { beside: shorten(beside), ..self }
    }
}

/// At most 200 characters of an untrusted word.
fn shorten(word: &str) -> String {
    word.chars().take(200).collect()
}

const ROOTS: [&str; 4] = ["std", "core", "alloc", "lar_shim"];

/// The first token that may not stand where it stands.
pub fn check(tokens: &[Token], names: &Names) -> Option<Refusal> {
    if tokens.is_empty() {
        return Some(Refusal::new(Rule::Empty, "", 1));
    }
    let mut scan = Scan {
        tokens,
        names,
        trees: Trees::new(tokens, &names.plain_macros),
        types: Types::read(tokens),
        writes_attributes: writes_attributes(tokens),
        assembles: assembles(tokens),
        in_use: false,
    };
    (0..tokens.len()).find_map(|i| scan.step(i))
}

/// Whether a macro can write `#[...]` from its arguments: a `#` that is no whole attribute.
fn writes_attributes(tokens: &[Token]) -> bool {
    tokens.iter().enumerate().any(|(i, token)| {
        let after = |n: usize| tokens.get(i + n).map_or("", |t| &*t.text);
        token.is_sign("#")
            && match after(1) {
                "[" => after(2) == "$",
                "!" => after(2) != "[" || after(3) == "$",
                _ => true,
            }
    })
}

/// Whether own macros can put `name!(...)` or a path together from single tokens of their arguments.
///
/// A lone `!` or `#` is matched by the fragment `tt` alone. Without one, a `!` behind an argument is
/// written in the macro itself: right behind a metavariable `check_metavariable` refuses it, and
/// behind a repetition it counts here, as does an argument in a `use` declaration.
fn assembles(tokens: &[Token]) -> bool {
    let mut in_use = false;
    tokens.iter().enumerate().any(|(i, token)| {
        let before = i.checked_sub(1).map_or("", |b| &*tokens[b].text);
        match (token.kind, &*token.text) {
            (Kind::Word, "use") => in_use = true,
            (Kind::Sign, ";") => in_use = false,
            (Kind::Sign, "$") if in_use => return true,
            (Kind::Sign, "!") if matches!(before, "*" | "+" | "?") => return true,
            (Kind::Word | Kind::RawWord, "tt") if before == ":" => return true,
            _ => {}
        }
        false
    })
}

struct Scan<'a> {
    tokens: &'a [Token<'a>],
    names: &'a Names,
    trees: Trees<'a>,
    types: Types<'a>,
    writes_attributes: bool,
    assembles: bool,
    /// Inside a `use` declaration.
    in_use: bool,
}

impl Scan<'_> {
    fn step(&mut self, i: usize) -> Option<Refusal> {
        let token = &self.tokens[i];
        match (token.kind, &*token.text) {
            (Kind::Word, "use") => self.in_use = self.text(i + 1) != "<",
            (Kind::Word, "fn") | (Kind::Sign, ";" | "=" | "(") => self.in_use = false,
            _ => {}
        }
        self.trees.step(i);
        if self.trees.depth() > self.names.max_nesting {
            return Some(Refusal::new(Rule::Nesting, "", token.line));
        }
        if let Some(root) = self.trees.segment_of(i) {
            return self.check_segment(i, root).or_else(|| self.check_token(i));
        }
        self.check_token(i)
    }

    fn check_token(&mut self, i: usize) -> Option<Refusal> {
        let token = &self.tokens[i];
        match (token.kind, &*token.text) {
            (Kind::Word | Kind::RawWord, _) => self.check_word(i),
            (Kind::Sign, "#") => self.check_attribute(i),
            (Kind::Sign, "$") => self.check_metavariable(i),
            _ => None,
        }
    }

    fn text(&self, i: usize) -> &str {
        self.tokens.get(i).map_or("", |t| &t.text)
    }

    fn before(&self, i: usize, n: usize) -> &str {
        i.checked_sub(n).map_or("", |at| self.text(at))
    }

    fn refuse(&self, i: usize, rule: Rule) -> Option<Refusal> {
        Some(Refusal::new(rule, &self.tokens[i].text, self.tokens[i].line))
    }

    fn check_word(&mut self, i: usize) -> Option<Refusal> {
        let (word, names) = (&*self.tokens[i].text, self.names);
        let keyword = self.tokens[i].kind == Kind::Word;
        let called = self.text(i + 1) == "!";
        if names.anywhere.contains(word)
            || (keyword && names.keywords.contains(word))
            || (names.hidden_macros.contains(word)
                && (called || self.in_use || (self.assembles && self.trees.is_hostile())))
            || (names.hidden_attributes.contains(word)
                && (self.trees.is_attribute()
                    || self.in_use
                    || ((self.assembles || self.writes_attributes) && self.trees.is_hostile())))
        {
            return self.refuse(i, Rule::Word);
        }
        if names.macros.contains(word) && (called || self.in_use) {
            return self.refuse(i, Rule::Macro);
        }
        if self.writes_attributes && names.attribute_words.contains(word) {
            return self.refuse(i, Rule::AttributeWord);
        }
        if ROOTS.contains(&word) {
            return self.check_path(i);
        }
        if matches!(word, "stdin" | "stdout" | "stderr") && self.before(i, 1) == "::" {
            return self.refuse(i, Rule::Stream);
        }
        match word {
            "mod" if keyword && self.text(i + 2) == ";" => {
                Some(Refusal::new(Rule::ModFile, self.text(i + 1), self.tokens[i].line))
            }
            "static" if keyword => self.check_static(i),
            _ => None,
        }
    }

    /// `std::fs`, `use std::{thread as t}`, `use std as s`, `lar_shim::init`.
    fn check_path(&mut self, i: usize) -> Option<Refusal> {
        if self.is_inside_path(i) {
            return None; // a module of that name inside another path, like std::alloc
        }
        match self.text(i + 1) {
            "as" => return self.refuse(i, Rule::RootAlias),
            "::" => {}
            _ => return None,
        }
        if self.text(i + 2) == "{" {
            self.trees.expect_group(i + 2, i);
            return None;
        }
        self.check_segment(i + 2, i)
    }

    /// True for the `std` of `a::std`, false for that of `use ::std`.
    fn is_inside_path(&self, i: usize) -> bool {
        if i < 2 || self.before(i, 1) != "::" || self.before(i, 3) == "$" {
            return false;
        }
        let parent = &self.tokens[i - 2];
        let names_a_module = matches!(&*parent.text, "self" | "super" | "crate" | "Self");
        parent.is_name() && (names_a_module || !is_keyword(parent))
    }

    /// The name behind `root::`, or one of a group behind it.
    fn check_segment(&self, i: usize, root: usize) -> Option<Refusal> {
        let (segment, root) = (self.tokens.get(i)?, self.text(root));
        let rule = match &*segment.text {
            "*" | "self" => Rule::RootGlob,
            name if root == "lar_shim" && !self.names.shim.contains(name) => Rule::Shim,
            name if matches!(root, "std" | "core") && self.names.modules.contains(name) => {
                Rule::Module
            }
            _ => return None,
        };
        Some(Refusal::new(rule, &segment.text, segment.line).beside(root))
    }

    fn check_static(&self, i: usize) -> Option<Refusal> {
        let line = self.tokens[i].line;
        if self.text(i + 1) == "mut" {
            return Some(Refusal::new(Rule::StaticMut, "mut", line));
        }
        let cell = self.types.find_cell(self.tokens, i)?;
        Some(Refusal::new(Rule::StaticCell, self.text(i + 1), line).beside(cell))
    }

    fn check_attribute(&self, i: usize) -> Option<Refusal> {
        let inner = self.text(i + 1) == "!";
        let at = if inner { i + 2 } else { i + 1 };
        let mut name = self.tokens.get(at + 1)?;
        if self.text(at) != "[" || !name.is_name() {
            return None; // #[$meta:meta] in a macro's pattern
        }
        if name.text == "unsafe" && self.text(at + 2) == "(" {
            name = self.tokens.get(at + 3)?; // #[unsafe(no_mangle)]
        }
        let (known, rule) = if inner {
            (&self.names.inner_attributes, Rule::InnerAttribute)
        } else {
            (&self.names.attributes, Rule::Attribute)
        };
        if known.contains(&*name.text) {
            return None;
        }
        Some(Refusal::new(rule, &name.text, name.line))
    }

    /// `$name!(...)` calls the macro it is given: the scan cannot see which one.
    fn check_metavariable(&self, i: usize) -> Option<Refusal> {
        let name = self.tokens.get(i + 1)?;
        let called = name.is_name()
            && self.text(i + 2) == "!"
            && matches!(self.text(i + 3), "(" | "[" | "{" | "$");
        let made = name.text == "{" && self.text(i + 2) == "concat";
        (called || made).then(|| {
            let word = if made { "concat" } else { &*name.text };
            Refusal::new(Rule::Metavariable, word, self.tokens[i].line)
        })
    }
}
