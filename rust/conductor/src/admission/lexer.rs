//! A kernel's text as rustc's own lexer splits it, in linear time.
//!
//! The crate is rustc's, of the commit from which Rust 1.95 was cut (`ra-ap-rustc_lexer` 0.153,
//! published 2026-03-01). As rustc does, it is given the text behind a shebang line. Comments are
//! dropped. What rustc refuses while it lexes is an error here too, so no later rule has to guess
//! how such a text goes on.

use ra_ap_rustc_lexer::{
    FrontmatterAllowed, LiteralKind, TokenKind, is_whitespace, strip_shebang, tokenize,
};
use std::borrow::Cow;
use unicode_normalization::UnicodeNormalization;

/// What a token is. The names are those of Python's `judge.rust_tokens`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An identifier or keyword.
    Word,
    /// An identifier written `r#name`: never a keyword.
    RawWord,
    /// A string, byte string, C string, character or byte.
    Text,
    /// A lifetime.
    Life,
    Number,
    /// Punctuation: one character, or one of `JOINED`.
    Sign,
}

/// One token and its line.
#[derive(Clone, Debug)]
pub struct Token<'a> {
    pub kind: Kind,
    /// As written; an identifier without `r#` and in normal form C, in which rustc compares it.
    pub text: Cow<'a, str>,
    /// From 1.
    pub line: u32,
}

impl Token<'_> {
    /// Whether it is an identifier or keyword, raw or not.
    pub fn is_name(&self) -> bool {
        matches!(self.kind, Kind::Word | Kind::RawWord)
    }

    /// Whether it is this punctuation.
    pub fn is_sign(&self, sign: &str) -> bool {
        self.kind == Kind::Sign && self.text == sign
    }
}

/// A place that rustc's lexer refuses.
#[derive(Debug, PartialEq, Eq)]
pub struct LexError {
    pub what: &'static str,
    pub line: u32,
}

/// Punctuation of two characters that the rules look at.
const JOINED: [&str; 7] = ["::", "->", "=>", "!=", "==", "<=", ">="];

/// The tokens of a Rust source file, comments left out.
pub fn lex(source: &str) -> Result<Vec<Token<'_>>, LexError> {
    let mut at = strip_shebang(source).unwrap_or(0);
    let mut line = 1;
    let blank = source[at..].len() - source[at..].trim_start_matches(is_whitespace).len();
    if source[at + blank..].starts_with("---") {
        // rustc's lexer panics at one of more than 65,535 dashes.
        let line = 1 + source[at..at + blank].matches('\n').count() as u32;
        return Err(LexError { what: "a frontmatter (`---`)", line });
    }
    let mut tokens: Vec<Token> = Vec::new();
    let mut sign_end = usize::MAX;
    for token in tokenize(&source[at..], FrontmatterAllowed::No) {
        let text = &source[at..at + token.len as usize];
        if let Some(what) = refused(token.kind) {
            return Err(LexError { what, line });
        }
        if let Some(kind) = kind_of(token.kind) {
            let joined = kind == Kind::Sign && sign_end == at && join(tokens.last_mut(), text);
            if !joined {
                tokens.push(Token { kind, text: name(kind, text), line });
            }
            sign_end = if kind == Kind::Sign && !joined { at + text.len() } else { usize::MAX };
        }
        line += text.bytes().filter(|b| *b == b'\n').count() as u32;
        at += text.len();
    }
    Ok(tokens)
}

/// Appends a character to the sign before it if they are one sign.
fn join<'a>(last: Option<&mut Token<'a>>, text: &str) -> bool {
    let Some(last) = last else { return false };
    let found = JOINED.iter().find(|pair| pair[..1] == *last.text && pair[1..] == *text);
    if let Some(pair) = found {
        last.text = Cow::Borrowed(pair);
    }
    found.is_some()
}

fn name(kind: Kind, text: &str) -> Cow<'_, str> {
    let text = if kind == Kind::RawWord { &text[2..] } else { text };
    if matches!(kind, Kind::Word | Kind::RawWord) && !text.is_ascii() {
        return Cow::Owned(text.nfc().collect());
    }
    Cow::Borrowed(text)
}

/// The kind of a token, or None for blanks and comments.
fn kind_of(kind: TokenKind) -> Option<Kind> {
    use TokenKind as T;
    Some(match kind {
        T::LineComment { .. } | T::BlockComment { .. } | T::Whitespace => return None,
        T::Ident => Kind::Word,
        T::RawIdent => Kind::RawWord,
        T::Lifetime { .. } | T::RawLifetime => Kind::Life,
        T::Literal { kind: LiteralKind::Int { .. } | LiteralKind::Float { .. }, .. } => {
            Kind::Number
        }
        T::Literal { .. } => Kind::Text,
        _ => Kind::Sign,
    })
}

/// Why rustc refuses a token, in edition 2024.
fn refused(kind: TokenKind) -> Option<&'static str> {
    use TokenKind as T;
    match kind {
        T::BlockComment { terminated: false, .. } => Some("a block comment that does not end"),
        T::InvalidIdent => Some("an emoji in a name"),
        T::UnknownPrefix | T::UnknownPrefixLifetime => Some("an unknown prefix of a literal"),
        T::GuardedStrPrefix => Some("a reserved sign (`#\"` or `##`)"),
        T::Unknown => Some("a character that is no part of Rust"),
        T::Literal { kind, .. } => refused_literal(kind),
        _ => None,
    }
}

fn refused_literal(kind: LiteralKind) -> Option<&'static str> {
    use LiteralKind as L;
    match kind {
        L::Char { terminated: false } | L::Byte { terminated: false } => {
            Some("a character literal that does not end")
        }
        L::Str { terminated: false }
        | L::ByteStr { terminated: false }
        | L::CStr { terminated: false } => Some("a string that does not end"),
        L::RawStr { n_hashes: None }
        | L::RawByteStr { n_hashes: None }
        | L::RawCStr { n_hashes: None } => Some("a raw string that does not begin or end as one"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        lex(text).unwrap().iter().map(|t| t.text.to_string()).collect()
    }

    #[test]
    fn a_shebang_line_is_dropped_as_rustc_drops_it() {
        assert_eq!(words("#!/ \"\nasm!() // \""), ["asm", "!", "(", ")"]);
        assert_eq!(lex("#!/ \"\nasm").unwrap()[0].line, 2);
        assert_eq!(words("#![x]\na"), ["#", "!", "[", "x", "]", "a"]);
        assert_eq!(words("#! /**/ // c\n [x] a")[..2], ["#", "!"]);
        assert_eq!(words("\n#!/ x"), ["#", "!", "/", "x"]);
    }

    #[test]
    fn literals_and_comments_are_rustcs() {
        assert_eq!(
            words("r##\"a\"#b\"## c\"x\" br\"y\" '\\'' 'a' 'b b'\\x7f' /*/* */ asm */ z"),
            ["r##\"a\"#b\"##", "c\"x\"", "br\"y\"", "'\\''", "'a'", "'b", "b'\\x7f'", "z"]
        );
        assert_eq!(
            words("a::b !=c: :d r#asm \u{212a}"),
            ["a", "::", "b", "!=", "c", ":", ":", "d", "asm", "K"]
        );
    }

    #[test]
    fn what_rustc_cannot_lex_is_refused() {
        for text in [
            "a\n\"",
            "a\n/* /* */",
            "a\nr#\"\"",
            "a\nr#\"",
            "a\nfoo\"x\"",
            "a\nfoo#bar",
            "a\n##",
            "a\n#\"x\"#",
            "a\n'\\",
            "a\n\u{2116}",
            "a\nb\u{1f600}",
        ] {
            assert_eq!(lex(text).map(|t| t.len()).unwrap_err().line, 2, "{text:?}");
        }
        for text in ["---\nfn\n---\na", "#!/ x\n \n---", &"-".repeat(1 << 20)] {
            assert_eq!(lex(text).map(|t| t.len()).unwrap_err().what, "a frontmatter (`---`)");
        }
        assert_eq!(words("x---y").len(), 5);
    }
}
