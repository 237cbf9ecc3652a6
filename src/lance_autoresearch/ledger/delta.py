"""A kernel as copies from upstream's first kernel plus new lines: Lance's text stays out.

    base    b"fn a() {\\n    one();\\n}\\n"
    kernel  b"fn a() {\\n  one();\\n    two();\\n}\\n"
    delta   [["copy", 0, 1],                     lines 0..1 of the base
             ["line", 1, "  ", "\\n"],           line 1 of the base, indented again
             ["text", "    two();\\n}\\n"]]        our own

No line of the base that holds a letter or a digit stands in a `text`.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from lance_autoresearch.errors import LedgerError

SHARED: Final = 10
"""From this many lines in common with upstream's text on, a kernel is stored as a delta."""

Ops = list[list[Any]]


def count_shared_lines(kernel: bytes, base: bytes) -> int:
    """Lines in common, in any order, but for indentation; `}` and blank lines do not count."""
    ours, theirs = (
        Counter(filter(_is_telling, map(str.strip, _split_lines(t)))) for t in (kernel, base)
    )
    return (ours & theirs).total()


def encode_delta(kernel: bytes, base: bytes) -> bytes:
    """The delta as JSON text; `decode(encode_delta(kernel, base), base) == kernel`."""
    names = {
        "v": 1,
        "base": hashlib.sha256(base).hexdigest(),
        "kernel": hashlib.sha256(kernel).hexdigest(),
    }
    ops = ",\n".join(json.dumps(op) for op in _find_ops(_split_lines(kernel), _split_lines(base)))
    return f'{json.dumps(names)[:-1]}, "ops": [\n{ops}\n]}}\n'.encode()


def decode_delta(delta: bytes, base: bytes) -> bytes:
    """The kernel again.

    Raises:
        LedgerError: not a delta, another base, or damaged.
    """
    try:
        parts = json.loads(delta)
        version, wanted, name = parts["v"], parts["base"], parts["kernel"]
        if version != 1:
            raise LedgerError(f"delta format {version} is unknown", allowed=["1"])
        if wanted != hashlib.sha256(base).hexdigest():
            raise LedgerError(
                f"this delta was made against another first kernel of Lance ({wanted[:12]})",
                next="pin the release the campaign was run with: lar upstream pin",
            )
        text = "".join(_apply_op(op, _split_lines(base)) for op in parts["ops"])
        kernel = text.encode("utf-8", "surrogateescape")
    except (ValueError, TypeError, KeyError, IndexError) as error:
        raise LedgerError(f"a delta is damaged ({error})") from error
    if hashlib.sha256(kernel).hexdigest() != name:
        raise LedgerError(f"the delta of kernel {str(name)[:12]} is damaged")
    return kernel


def _split_lines(text: bytes) -> list[str]:
    """Lines with their ends; only \\n ends one, so that joining gives the bytes back."""
    return [
        line.decode("utf-8", "surrogateescape") + end
        for line, end in _split_parts(text)
        if line or end
    ]


def _split_parts(text: bytes) -> list[tuple[bytes, str]]:
    *whole, rest = text.split(b"\n")
    return [*((line, "\n") for line in whole), (rest, "")]


def _is_telling(line: str) -> bool:
    return any(c.isalnum() for c in line)


def _find_ops(kernel: Sequence[str], base: Sequence[str]) -> Ops:
    exact: dict[str, list[int]] = {}
    cores: dict[str, int] = {}
    for i, line in enumerate(base):
        exact.setdefault(line, []).append(i)
        cores.setdefault(line.strip(), i)
    ops: Ops = []
    at = 0
    while at < len(kernel):
        line, core = kernel[at], kernel[at].strip()
        start, length = _find_longest(kernel, at, base, exact.get(line, []))
        if any(map(_is_telling, kernel[at : at + length])):
            ops.append(["copy", start, length])
            at += length
            continue
        if _is_telling(core) and core in cores:
            lead, _, trail = line.partition(core)
            ops.append(["line", cores[core], lead, trail])
        elif ops and ops[-1][0] == "text":
            ops[-1][1] += line
        else:
            ops.append(["text", line])
        at += 1
    return ops


def _find_longest(
    kernel: Sequence[str], at: int, base: Sequence[str], starts: Sequence[int]
) -> tuple[int, int]:
    """(start, length) of the longest part of the base that the kernel holds at `at`."""
    best = (0, 0)
    for start in starts:
        length = 0
        while (
            start + length < len(base)
            and at + length < len(kernel)
            and kernel[at + length] == base[start + length]
        ):
            length += 1
        if length > best[1]:
            best = (start, length)
    return best


def _apply_op(op: Sequence[Any], base: Sequence[str]) -> str:
    match op:
        case ["copy", int(start), int(length)] if start >= 0 and start + length <= len(base):
            return "".join(base[start : start + length])
        case ["line", int(at), str(lead), str(trail)] if at >= 0:
            return lead + base[at].strip() + trail
        case ["text", str(text)]:
            return text
    raise ValueError(f"no such operation: {str(op)[:60]}")
