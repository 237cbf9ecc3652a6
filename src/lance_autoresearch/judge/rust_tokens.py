"""Splits Rust text into the tokens that a rule about words must read.

    for token in split_tokens('let s = "asm!"; // asm!'):  # let, s, =, "asm!", ;  - no comment

Comments are dropped; a string, a byte string or a character is one token of kind `text`, so
words inside them are never mistaken for code. Macro bodies are split like all other code.
Written after the Rust reference, chapter "Lexical structure".
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple
from unicodedata import normalize


class Token(NamedTuple):
    """One token and its place."""

    kind: str
    """word, text, life, number, sign."""
    text: str
    """As written, except that a raw identifier `r#x` reads `x`, and words are in form NFC."""
    line: int
    """From 1."""


_LEXER = re.compile(
    r"""
    (?P<space>\s+)
  | (?P<comment>//[^\n]*)
  | (?P<block>/\*)
  | (?P<raw>[bc]?r(?P<fence>\#*)".*?"(?P=fence))
  | (?P<text>[bc]?"(?:\\.|[^"\\])*" | b?'(?:\\(?:x[0-9a-fA-F]{2}|u\{[^}']*\}|.)|[^\\'\n])')
  | (?P<life>'(?:r\#)?[^\W\d]\w*)
  | (?P<word>(?:r\#)?[^\W\d]\w*)
  | (?P<number>\d\w*(?:\.\d\w*)?)
  | (?P<sign>::|->|=>|[!=<>]=|.)
    """,
    re.VERBOSE | re.DOTALL,
)
_EDGE = re.compile(r"/\*|\*/")


def split_tokens(text: str) -> Iterator[Token]:
    """Tokens of a Rust source file, in order."""
    at, line = 0, 1
    while at < len(text):
        match = _LEXER.match(text, at)
        assert match is not None, "the last alternative matches any character"
        kind, end = match.lastgroup or "sign", match.end()
        if kind == "fence":
            kind = "raw"
        if kind == "block":
            end = _find_block_end(text, end)
        elif kind not in ("space", "comment"):
            # rustc compares identifiers in normal form C: `\u212a` (Kelvin) is a K.
            name = kind == "word"
            word = normalize("NFC", match[0].removeprefix("r#")) if name else match[0]
            yield Token("text" if kind == "raw" else kind, word, line)
        line += text.count("\n", at, end)
        at = end


def _find_block_end(text: str, at: int) -> int:
    """The offset behind a block comment, which may nest; the text's end if it is never closed."""
    depth = 1
    while depth:
        edge = _EDGE.search(text, at)
        if edge is None:
            return len(text)
        depth += 1 if edge[0] == "/*" else -1
        at = edge.end()
    return at
