#!/usr/bin/env python3
"""Lines per file and per function, and the limits that keep the house readable.

    make size                       the table: every row's median, 90th percentile, largest
    python tools/size.py --check    silent when all is within the limits, else exit 1

A limit is moved here, with the reason beside it, or not at all.
"""

from __future__ import annotations

import ast
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

FILE_LIMIT = 400
"""Lines of any source file: past this nobody holds it in the head."""
FUNCTION_LIMIT = 60
"""Lines of any Python function, signature and docstring included."""
TARGET_LIMITS = {
    "target.py": 90,
    "contract.rs": 60,
    "prelude.rs": 60,
    "program.md": 80,
    "capsule.md": 120,
}
"""A target is data and one call; what needs more belongs to the package."""
SUFFIXES = {".py", ".rs", ".sh"}
REASONS = {
    "src/lance_autoresearch/bench/rig.py": "is split into meter, pools and noise next",
    "src/lance_autoresearch/build/builder.py": "three lines of imports over; is split next",
}
"""Files over the limit, with the reason."""


def sources() -> list[Path]:
    """Source files that git tracks or would track, relative to the root."""
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    paths = (Path(line) for line in listing.stdout.splitlines())
    return sorted(p for p in paths if (ROOT / p).is_file() and not exempt(p))


def exempt(path: Path) -> bool:
    """True for recorded and mutable kernels: the gate judges those, not a line count."""
    return path.match("targets/*/kernel/*") or path.parts[0] == "records"


def lines(path: Path) -> int:
    """Number of lines of a file."""
    return len((ROOT / path).read_text(encoding="utf-8").splitlines())


def functions(path: Path) -> Iterator[tuple[str, int, int]]:
    """(name, first line, length) of every function, decorators not counted."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno:
            yield node.name, node.lineno, node.end_lineno - node.lineno + 1


def limit_of(path: Path) -> int | None:
    """The most lines this file may have; None where nothing is asked."""
    if len(path.parts) == 3 and path.parts[0] == "targets":
        return TARGET_LIMITS.get(path.name, FILE_LIMIT if path.suffix in SUFFIXES else None)
    return FILE_LIMIT if path.suffix in SUFFIXES else None


def problems() -> list[str]:
    """Every file and function over its limit."""
    out = []
    for path in sources():
        limit = limit_of(path)
        if limit is not None and lines(path) > limit and str(path) not in REASONS:
            out.append(f"{path}: {lines(path)} lines, at most {limit}")
        if path.suffix == ".py":
            out += [
                f"{path}:{at}: {name} has {length} lines, at most {FUNCTION_LIMIT}"
                for name, at, length in functions(path)
                if length > FUNCTION_LIMIT
            ]
    return out


def spread(values: list[int]) -> str:
    """`median  p90  max`, or dashes."""
    if not values:
        return "   -     -     -"
    ordered = sorted(values)
    p90 = ordered[min(len(ordered) - 1, int(0.9 * len(ordered)))]
    return f"{statistics.median(ordered):5.0f} {p90:5d} {ordered[-1]:5d}"


def report() -> str:
    """The table of `make size`."""
    rows = [f"{'':22}{'files':>6} {'lines':>7}   {'per file':^17}   {'per function':^17}"]
    rows.append(f"{'':22}{'':6} {'':7}   " + "  med   p90   max   " * 2)
    parts = [p for p in sources() if p.suffix in SUFFIXES]
    for area in sorted({f"{p.parts[0]} {p.suffix}" if p.parts[1:] else "." for p in parts}):
        group = [p for p in parts if (f"{p.parts[0]} {p.suffix}" if p.parts[1:] else ".") == area]
        sizes = [lines(p) for p in group]
        lengths = [n for p in group if p.suffix == ".py" for _, _, n in functions(p)]
        rows.append(
            f"{area:22}{len(group):6d} {sum(sizes):7d}   {spread(sizes)}   {spread(lengths)}"
        )
    return "\n".join(row.rstrip() for row in rows)


def main() -> int:
    """Report, or check. Returns the exit code."""
    found = problems()
    if "--check" not in sys.argv[1:]:
        print(report())
    for line in found:
        print(line, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
