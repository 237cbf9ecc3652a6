#!/usr/bin/env python3
"""What keeps the source readable, in figures: lengths, names, imports, sizes of rooms.

    make size                       the tables, and every long file or function with its reason
    python tools/size.py --check    silent if no limit is passed, else exit 1

Goals for `src/`; a limit beside a goal is where the tree stands today, and only moves towards it:

    names    at least 60 % of functions and methods begin with a verb of tools/verbs.txt
    imports  no module imports more than 12 modules of this project
    rooms    no room holds more than 20 % of the source lines
    lengths  a file over 400 lines or a function over 60 has its reason in REASONS
"""

from __future__ import annotations

import ast
import functools
import statistics
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "lance_autoresearch"
SOURCE = Path("src") / PACKAGE
VERBS = Path(__file__).parent / "verbs.txt"

FILE_LIMIT = 400
"""Lines of a source file; a longer one needs a reason."""
FUNCTION_LIMIT = 60
"""Lines of a Python function, signature and docstring included; a longer one needs a reason."""
VERB_GOAL, VERB_LIMIT = 0.60, 0.35
"""Least share of functions and methods whose name begins with a verb."""
IMPORT_GOAL, IMPORT_LIMIT = 12, 18
"""Most modules of this project that one module imports."""
ROOM_GOAL, ROOM_LIMIT = 0.20, 0.20
"""Most that one room holds of the source lines."""
SUFFIXES = {".py", ".rs", ".sh"}
REASONS: Mapping[str, str] = {
    "src/lance_autoresearch/bench/conductor.py": "one protocol: every command beside its answer",
    "src/lance_autoresearch/cli/loop.py:run_agent_loop": "options and their help; a short body",
    "tests/judge/test_threats.py": "the list of attacks, one test each",
    "tests/rules/test_gate.py": "the cases of one rule, one after the other",
    "tests/rules/test_rules_pinned.py": "the cases of one rule, one after the other",
}
"""`path` of a long file, or `path:function` of a long function -> why it stays long."""


@functools.cache
def list_sources(root: Path = ROOT) -> tuple[Path, ...]:
    """Source files that git tracks or would track, relative to the root."""
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=root,
        check=True,
        capture_output=True,
        text=True,
    )
    paths = (Path(line) for line in listing.stdout.splitlines())
    wanted = (p for p in paths if p.suffix in SUFFIXES and (root / p).is_file())
    return tuple(sorted(p for p in wanted if not is_exempt(p)))


def is_exempt(path: Path) -> bool:
    """True for recorded and mutable kernels: the gate judges those, not a line count."""
    return path.match("targets/*/kernel/*") or path.parts[0] == "records"


@functools.cache
def read_text(path: Path) -> str:
    """Text of a file below the root."""
    return (ROOT / path).read_text(encoding="utf-8")


def count_lines(path: Path) -> int:
    """Lines of a file below the root."""
    return len(read_text(path).splitlines())


@functools.lru_cache(maxsize=1024)
def walk_tree(text: str) -> tuple[ast.AST, ...]:
    """All nodes of a module's syntax tree."""
    return tuple(ast.walk(ast.parse(text)))


def measure_functions(text: str) -> Iterator[tuple[str, int, int]]:
    """(name, first line, length) of every function, decorators not counted."""
    for node in walk_tree(text):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno:
            yield node.name, node.lineno, node.end_lineno - node.lineno + 1


def read_verbs(path: Path = VERBS) -> frozenset[str]:
    """The verbs of the list; lines that begin with # are comments."""
    words = (line.strip() for line in path.read_text(encoding="utf-8").splitlines())
    return frozenset(word for word in words if word and not word.startswith("#"))


def list_names(text: str) -> list[str]:
    """Names of a module's functions and methods; properties and dunder methods are left out."""
    return [
        node.name
        for node in walk_tree(text)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and not (node.name.startswith("__") and node.name.endswith("__"))
        and not any(is_property(decorator) for decorator in node.decorator_list)
    ]


def is_property(decorator: ast.expr) -> bool:
    """True for `property`, `cached_property` and a property's setter or deleter."""
    name = ast.unparse(decorator).rpartition(".")[2]
    return name in {"property", "cached_property", "setter", "deleter"}


def has_verb(name: str, verbs: frozenset[str]) -> bool:
    """Whether the first word of a name, behind leading underscores, is a verb."""
    return name.lstrip("_").partition("_")[0] in verbs


def list_imports(text: str, modules: frozenset[str]) -> set[str]:
    """Modules of this project that a module imports, also inside functions, each once.

    `from room import part` is the module `room.part` if there is one, else `room`.
    """
    found = set()
    for node in walk_tree(text):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            below = (f"{node.module}.{alias.name}" for alias in node.names)
            found |= {name if name in modules else node.module for name in below}
    return found & modules


def name_module(path: Path) -> str:
    """`src/lance_autoresearch/host/git.py` -> `lance_autoresearch.host.git`."""
    parts = path.with_suffix("").parts[1:]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def name_room(path: Path) -> str:
    """The folder below the package, or the module that lies there itself."""
    return path.relative_to(SOURCE).with_suffix("").parts[0]


def list_modules() -> list[Path]:
    """Python files of the package."""
    return [p for p in list_sources() if p.suffix == ".py" and p.is_relative_to(SOURCE)]


def measure_verbs() -> tuple[int, int]:
    """(names that begin with a verb, all names)."""
    verbs = read_verbs()
    names = [name for path in list_modules() for name in list_names(read_text(path))]
    return sum(has_verb(name, verbs) for name in names), len(names)


def measure_imports() -> list[tuple[int, str]]:
    """(imported modules of the project, module), the most first."""
    paths = list_modules()
    modules = frozenset(name_module(path) for path in paths)
    counts = ((len(list_imports(read_text(p), modules)), name_module(p)) for p in paths)
    return sorted(counts, key=lambda row: (-row[0], row[1]))


def measure_rooms() -> list[tuple[float, str]]:
    """(share of the source lines, room), the largest first."""
    lines: Counter[str] = Counter()
    for path in list_modules():
        lines[name_room(path)] += count_lines(path)
    return [(count / lines.total(), room) for room, count in lines.most_common()]


def list_long() -> list[tuple[str, str]]:
    """(key of REASONS, description) of every file and function over its limit."""
    out = []
    for path in list_sources():
        if (count := count_lines(path)) > FILE_LIMIT:
            out.append((f"{path}", f"{path}: {count} lines, over {FILE_LIMIT}"))
        if path.suffix == ".py":
            out += [
                (f"{path}:{name}", f"{path}:{at}: {name} has {length} lines, over {FUNCTION_LIMIT}")
                for name, at, length in measure_functions(read_text(path))
                if length > FUNCTION_LIMIT
            ]
    return out


def find_problems() -> list[str]:
    """Every limit that is passed."""
    problems = [f"{text}, without a reason" for key, text in list_long() if key not in REASONS]
    verbs, names = measure_verbs()
    if verbs < VERB_LIMIT * names:
        problems.append(f"{verbs / names:.1%} of names begin with a verb, least {VERB_LIMIT:.0%}")
    problems += [
        f"{module} imports {count} modules of this project, at most {IMPORT_LIMIT}"
        for count, module in measure_imports()
        if count > IMPORT_LIMIT
    ]
    problems += [
        f"the room {room} holds {share:.1%} of the source, at most {ROOM_LIMIT:.0%}"
        for share, room in measure_rooms()
        if share > ROOM_LIMIT
    ]
    return problems


def format_spread(values: list[int]) -> str:
    """`median  p90  max`, or dashes."""
    if not values:
        return "   -     -     -"
    ordered = sorted(values)
    p90 = ordered[min(len(ordered) - 1, int(0.9 * len(ordered)))]
    return f"{statistics.median(ordered):5.0f} {p90:5d} {ordered[-1]:5d}"


def render_lengths() -> str:
    """The table of lines per file and per function."""
    rows = [f"{'':22}{'files':>6} {'lines':>7}   {'per file':^17}   {'per function':^17}"]
    rows.append(f"{'':22}{'':6} {'':7}   " + "  med   p90   max   " * 2)
    areas: dict[str, list[Path]] = {}
    for path in list_sources():
        area = f"{path.parts[0]} {path.suffix}" if path.parts[1:] else "."
        areas.setdefault(area, []).append(path)
    for area, group in sorted(areas.items()):
        sizes = [count_lines(p) for p in group]
        python = [p for p in group if p.suffix == ".py"]
        lengths = [n for p in python for _, _, n in measure_functions(read_text(p))]
        spreads = f"{format_spread(sizes)}   {format_spread(lengths)}"
        rows.append(f"{area:22}{len(group):6d} {sum(sizes):7d}   {spreads}")
    return "\n".join(row.rstrip() for row in rows)


def render_goals() -> str:
    """Names, imports and rooms beside their goals, then what is long and why."""
    verbs, names = measure_verbs()
    count, module = measure_imports()[0]
    share, room = measure_rooms()[0]
    rows = [
        f"names that begin with a verb   {verbs / names:6.1%}  ({verbs} of {names}; "
        f"goal at least {VERB_GOAL:.0%})",
        f"most imports of one module     {count:6d}  ({module}; goal at most {IMPORT_GOAL})",
        f"largest room                   {share:6.1%}  ({room}; goal at most {ROOM_GOAL:.0%})",
    ]
    rows += [f"long: {text}: {REASONS.get(key, 'NO REASON')}" for key, text in list_long()]
    return "\n".join(rows)


def main() -> int:
    """Report, or check. Returns the exit code."""
    if "--check" not in sys.argv[1:]:
        print(f"{render_lengths()}\n\n{render_goals()}")
    problems = find_problems()
    for line in problems:
        print(line, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
