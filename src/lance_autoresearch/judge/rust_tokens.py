"""A kernel's text as rustc's own lexer splits it: a client of the trusted program.

    scan_kernel(text, names)       what admission must know: the first refused token, features
    split_tokens('let s = "asm!"; // asm!')    let, s, =, "asm!", ;  - no comment

The lexer is rustc's (`rust/conductor/src/admission/lexer.rs`). Comments and a shebang line are
dropped; a string, a byte string or a character is one token of kind `text`, so words inside them
are never mistaken for code. Macro bodies are split like all other code.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from lance_autoresearch.bench.conductor import ask_once
from lance_autoresearch.host.checkout import find_root


class Token(NamedTuple):
    """One token and its place."""

    kind: str
    """word, text, life, number, sign."""
    text: str
    """As written, except that a raw identifier `r#x` reads `x`, and words are in form NFC."""
    line: int
    """From 1."""


@dataclass(frozen=True, slots=True)
class RefusedToken:
    """The first token that a rule refuses."""

    rule: str
    """A value of `admission.Rule`."""
    word: str
    beside: str
    """The root of a path, the cell of a static, or empty."""
    line: int
    start: bool
    """It is the first character of the text."""


@dataclass(frozen=True, slots=True)
class KernelScan:
    """What the trusted program says about a text."""

    refused: RefusedToken | None
    enabled: tuple[tuple[int, str], ...]
    """(line, feature) of each `enable = "a,b"`."""
    capitals: frozenset[str]
    """All words that begin with a capital; empty if no feature is enabled."""
    program: str
    """sha256 of the tokens without comments; empty if the code may depend on line numbers."""


def scan_kernel(
    text: bytes, names: Mapping[str, Sequence[str] | int], root: Path | None = None
) -> KernelScan:
    """Apply admission's rules to a text, in time linear in its length.

    Args:
        names: the lists of `rules::Names`.
        root: the checkout; None finds it.

    Raises:
        MachineError: the program could not run.
    """
    report = ask_once(root or find_root(), ["admit", json.dumps(names)], stdin=text)
    refused, tokens = report["refusal"], str(report["canonical"])
    return KernelScan(
        None if refused is None else RefusedToken(**refused),
        tuple((int(line), str(feature)) for line, feature in report["enabled"]),
        frozenset(report["capitals"]),
        hashlib.sha256(tokens.encode()).hexdigest() if tokens else "",
    )


def split_tokens(text: str | bytes, root: Path | None = None) -> list[Token]:
    """Tokens of a Rust source file, in order; none if rustc's lexer refuses it."""
    data = text.encode("utf-8", "replace") if isinstance(text, str) else text
    report: dict[str, Any] = ask_once(root or find_root(), ["tokens"], stdin=data)
    return [Token(*row) for row in report["tokens"]]
