"""Trials as tab-separated text: first the four columns that autoresearch users know.

    commit  gain  status  description   id  created  target ...
    3f1c…   2.5   keep    unroll by 4   17  2026-…   hamming

One line a trial, UTF-8, the first line names the columns. Tabs, line ends, backslashes and
control characters are written as `\\t`, `\\n`, `\\\\`, `\\x1b`; an empty field is an absent value.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from typing import Any, Final

from lance_autoresearch.errors import LedgerError
from lance_autoresearch.ledger import rows
from lance_autoresearch.ledger.schema import REALS, Row

COLUMNS: Final[dict[str, str]] = {
    "commit": "git commit of a keep in its campaign; empty otherwise",
    "gain": "% faster than the champion: confirmed where there is a confirmation",
    "status": "keep, revert, incorrect, rejected or inconclusive",
    "description": "the hypothesis, as its author wrote it (untrusted text)",
    "id": "number of the trial in its ledger",
    "created": "UTC",
    "target": "what was optimised",
    "campaign": "the run of trials it belongs to",
    "kind": "trial, or the name of a null or injected effect",
    "low": "lower end of the gain's interval, %",
    "high": "upper end of the gain's interval, %",
    "reason": "the verdict in one line",
    "kernel": "sha256 of kernels.rs",
    "champion": "sha256 of the champion's kernels.rs",
    "parent": "trial that made the champion; empty: upstream",
    "agent": "who proposed it",
    "tokens": "tokens the proposal used",
    "cost_usd": "money it cost",
    "epoch": "set of secret pools it was judged on; see seeds.json",
    "burnt_seeds": "seeds used up by this trial (JSON)",
    "pairs_blob": "sha256 of the raw times; see pairs/",
    "numbers": "gate and confirmation as shown (JSON)",
    "phases": "seconds per phase (JSON)",
    "immutable": "digests of everything the kernel could not touch (JSON)",
    "machine": "where it ran (JSON)",
    "toolchain": "the compiler",
    "judged": "key under which the verdict is remembered",
    "seq": "place in the ledger's chain",
    "prev": "digest of the row before it in the chain",
    "digest": "sha256 over all columns but this one",
}
SHORT: Final = tuple(COLUMNS)[:16]
"""What `lar log --tsv` prints."""

_THEIRS: Final = {"commit": "keep_commit", "status": "verdict", "description": "hypothesis"}
_INTEGERS: Final = frozenset({"id", "seq", "parent", "tokens"})
_NULLABLE: Final = frozenset({"commit", "gain", "low", "high", "campaign", "parent"}) | {
    "tokens",
    "cost_usd",
    "pairs_blob",
}
_ESCAPES: Final = {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"}
_UNESCAPES: Final = {short: char for char, short in _ESCAPES.items()}
_CONTROL: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff\\\\]"
)
"""Control characters, marks that hide or reverse what follows, and the escape itself."""
_ESCAPED: Final = re.compile(r"\\(?:[\\tnr]|x[0-9a-f]{2}|u[0-9a-f]{4})")


def escape_field(text: str) -> str:
    """One field: no tab, line end or control character is left."""
    return _CONTROL.sub(lambda m: _ESCAPES.get(m[0]) or _encode_character(m[0]), text)


def _encode_character(char: str) -> str:
    return f"\\x{ord(char):02x}" if ord(char) < 256 else f"\\u{ord(char):04x}"


def unescape_field(field: str) -> str:
    """The text again."""
    return _ESCAPED.sub(lambda m: _UNESCAPES.get(m[0]) or chr(int(m[0][2:], 16)), field)


def dump_trials(trials: Iterable[Row], columns: Iterable[str] = COLUMNS) -> str:
    """Header and one line a trial."""
    names = tuple(columns)
    lines = ["\t".join(names)]
    for row in trials:
        values = rows.flatten_row(row)
        lines.append("\t".join(_format_field(values[_THEIRS.get(name, name)]) for name in names))
    return "\n".join(lines) + "\n"


def _format_field(value: object) -> str:
    return "" if value is None else escape_field(value if isinstance(value, str) else repr(value))


def parse_trials(text: str) -> list[Row]:
    """Rows from `dump_trials` with all columns.

    Raises:
        LedgerError: another header, a line that does not fit it; the line is named.
    """
    header, *lines = text.removesuffix("\n").split("\n")
    names = tuple(COLUMNS)
    if tuple(header.split("\t")) != names:
        raise LedgerError("the header is not the one this release writes", where="line 1")
    made = []
    for number, line in enumerate(lines, 2):
        fields = line.split("\t")
        try:
            pairs = zip(names, fields, strict=True)
            made.append(rows.build_row({_THEIRS.get(n, n): _parse_value(n, f) for n, f in pairs}))
        except (ValueError, TypeError, KeyError) as error:
            raise LedgerError(f"damaged ({error})", where=f"line {number}") from error
    return made


def _parse_value(name: str, field: str) -> Any:
    if field == "" and name in _NULLABLE:
        return None
    if name in _INTEGERS:
        return int(field)
    if name not in REALS:
        return unescape_field(field)
    number = float(field)
    if not math.isfinite(number):
        raise ValueError(f"{name} is {number}")
    return number
