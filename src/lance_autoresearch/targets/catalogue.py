"""The targets of a checkout: those that run (targets/*/target.py) and those that wait.

    load_target(root, "hamming")  -> Target, every rule of `find_problems` checked
    list_targets(root)       -> ["cosine", "hamming", ...]
    load_target(root, "haming")  -> UsageError: no target named 'haming'
                                  allowed: cosine, hamming, ...
                                  next:    lar targets (nearest: hamming)
    list_waiting(root)       -> the rows of targets/waiting.toml

A folder of `targets/` is imported as a package under a private name, so a target.py says
`from .fixtures import ...` and two targets may both have a `fixtures.py`. The search path is
not changed, and `sys.modules` holds nothing of a target afterwards: what a target imports from
its own folder is imported at the top of a file, not inside a function.
"""

from __future__ import annotations

import difflib
import importlib
import re
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from lance_autoresearch.errors import UsageError
from lance_autoresearch.targets.space import find_space_problems
from lance_autoresearch.targets.spec import RULES, Combo, Op, Target

MAX_TIMED = 12
"""Combos one pair can time in its budget of 0.2 s (method: 12 combos x 20 rounds)."""
CONFIRM_SPAN = 0.10
"""A combo's second size lies within this fraction of its first."""
NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
CALL_SITE = re.compile(r"\S+\.rs:\d+")
HIDDEN = "_"
"""Prefix of the name of a target that `lar targets` does not list."""
TIERS = ("native", "avx512", "avx2", "scalar")


@dataclass(frozen=True, slots=True)
class Waiting:
    """A kernel on the list that has no target yet."""

    name: str
    call_site: str
    """`crate/src/file.rs:line` at the pinned release."""
    surface: str
    """The ops it would have."""
    cost: str
    """Share of real work, as far as it is known."""
    state: str
    """What is missing before it can be a target."""
    headroom: str
    """The gain of bit-equal prototypes: a hint, never an accepted result."""
    group: str
    """`first`, `next` or `later`."""


def list_targets(root: Path, *, hidden: bool = False) -> list[str]:
    """Names of the targets that run, sorted.

    Args:
        hidden: with those whose names begin with `_`: they serve tests and no user.
    """
    found = sorted(p.parent.name for p in (root / "targets").glob("*/target.py"))
    return [name for name in found if hidden or not name.startswith(HIDDEN)]


def find_target_dir(root: Path, name: str) -> Path:
    """`targets/<name>`. Raises UsageError, with the nearest names, for an unknown one."""
    known = list_targets(root)
    if name in list_targets(root, hidden=True):
        return root / "targets" / name
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
    waits = any(w.name == name for w in list_waiting(root))
    what = f"'{name}' waits for its target" if waits else f"no target named '{name}'"
    hint = f" (nearest: {near[0]})" if near else ""
    raise UsageError(what, allowed=known, next=f"lar targets{hint}")


def load_target(root: Path, name: str) -> Target:
    """The target, checked. Raises UsageError for an unknown or a faulty one."""
    target = getattr(_import_module(find_target_dir(root, name), "target"), "TARGET", None)
    if not isinstance(target, Target):
        raise UsageError("defines no TARGET = Target(...)", where=f"targets/{name}/target.py")
    faults = find_problems(target)
    if target.name != name:
        faults.insert(0, f"is named '{target.name}', its directory '{name}'")
    if faults:
        raise UsageError("\n  ".join(faults), where=f"targets/{name}/target.py")
    return target


def load_targets(root: Path) -> list[Target]:
    """Every target that runs, by name."""
    return [load_target(root, name) for name in list_targets(root)]


def find_demo(root: Path) -> str:
    """Name of the target that `lar demo` plays. Raises UsageError if none is declared so."""
    chosen = [target.name for target in load_targets(root) if target.demo]
    if not chosen:
        raise UsageError("no target declares `demo=True`", allowed=list_targets(root))
    return chosen[0]


def load_fixtures(root: Path, name: str) -> ModuleType:
    """The target's own fixtures.py. Raises UsageError for an unknown target or none there."""
    home = find_target_dir(root, name)
    if not (home / "fixtures.py").is_file():
        raise UsageError("this target has no fixtures of its own", where=f"targets/{name}")
    return _import_module(home, "fixtures")


def _import_module(home: Path, stem: str) -> ModuleType:
    """Import a module of a target's folder. Errors in it are the author's: they crash."""
    package = ModuleType(f"_lar_target_{home.name.replace('-', '_')}")
    package.__path__ = [str(home)]
    importlib.invalidate_caches()
    sys.modules[package.__name__] = package
    try:
        return importlib.import_module(f"{package.__name__}.{stem}")
    finally:
        for known in [m for m in sys.modules if m.partition(".")[0] == package.__name__]:
            del sys.modules[known]


def find_problems(target: Target) -> list[str]:
    """Every fault of a target, one sentence each; empty if it is sound."""
    faults = [
        (
            not NAME.fullmatch(target.name.removeprefix(HIDDEN)),
            f"name '{target.name}' is not lower-case-with-dashes",
        ),
        (not target.summary, "summary is empty"),
        (not CALL_SITE.fullmatch(target.call_site), "call_site is not crate/src/file.rs:line"),
        (not target.cost, "cost is empty: say what share of real work the call is"),
        (not target.ops, "has no op"),
        (not target.timed, "times no combo"),
        (len(target.timed) > MAX_TIMED, f"times {len(target.timed)} combos, at most {MAX_TIMED}"),
        (not set(target.tiers) <= set(TIERS), f"tiers are not among {', '.join(TIERS)}"),
    ]
    out = [text for wrong, text in faults if wrong]
    out += [f for op in target.ops for f in _find_op_problems(op)]
    out += _find_repeated([op.name for op in target.ops], "op")
    out += _find_repeated([f"{c.op} {c.name}" for c in target.timed], "timed combo")
    out += _find_repeated([f"{c.op} {c.name}" for c in target.checks], "check")
    known = {op.name for op in target.ops}
    for combo in (*target.timed, *target.checks):
        if combo.op not in known:
            out.append(f"combo '{combo.name}' names op '{combo.op}', which does not exist")
    for op in target.ops:
        if target.timed and not any(c.op == op.name for c in target.timed):
            out.append(f"op '{op.name}' is never timed")
    out += [f for c in target.timed for f in _find_timed_problems(c)]
    return out + _find_spaces_problems(target)


def _find_spaces_problems(target: Target) -> list[str]:
    """Each op has one sound space, which holds every shape that is timed or checked."""
    out = _find_repeated([space.op for space in target.spaces], "space of op")
    out += [f for space in target.spaces for f in find_space_problems(space)]
    known = {space.op: space for space in target.spaces}
    for op in target.ops:
        if op.name not in known:
            out.append(
                f"op '{op.name}' has no space: `spaces=(Space(...),)` says which sizes a call may "
                "have in Lance, so that secret ones can be drawn (CONTRIBUTING.md, A target)"
            )
    for combo in (*target.timed, *target.checks):
        if combo.op not in known:
            continue
        ranges = known[combo.op].ranges
        if unknown := set(combo.shape) - set(ranges):
            out.append(f"'{combo.op} {combo.name}': its space has no {', '.join(sorted(unknown))}")
    for combo in target.timed:
        ranges = known[combo.op].ranges if combo.op in known else {}
        for name in set(combo.shape) & set(ranges):
            if not ranges[name].low <= combo.shape[name] <= ranges[name].high:
                out.append(f"'{combo.op} {combo.name}': its space does not reach that {name}")
    return out


def _find_op_problems(op: Op) -> list[str]:
    out = [] if op.outputs else [f"op '{op.name}' has no output"]
    for part in op.outputs:
        if part.rule not in RULES and not re.fullmatch(r"ulp32:\d+", part.rule):
            out.append(f"op '{op.name}': no rule '{part.rule}' ({', '.join(RULES)}, ulp32:N)")
        if not re.fullmatch(r"[uif](8|16|32|64)", part.dtype):
            out.append(f"op '{op.name}': dtype '{part.dtype}' is not like f32 or u8")
        if not 0 <= part.align < 64:
            out.append(f"op '{op.name}': align {part.align} is not within 0..63")
    return out


def _find_timed_problems(combo: Combo) -> list[str]:
    out = []
    label = f"{combo.op} {combo.name}"
    if combo.calls < 1:
        out.append(f"'{label}' has no calls")
    if combo.weight <= 0:
        out.append(f"'{label}' has weight {combo.weight}, must be above 0")
    if combo.confirm is None:
        return [*out, f"'{label}' has no second size (confirm=...)"]
    if set(combo.confirm) != set(combo.shape):
        return [*out, f"'{label}': confirm has other dimensions than shape"]
    if dict(combo.confirm) == dict(combo.shape):
        out.append(f"'{label}': confirm is the same size as shape")
    for dim, size in combo.shape.items():
        if abs(combo.confirm[dim] - size) > CONFIRM_SPAN * size:
            out.append(f"'{label}': confirm {dim}={combo.confirm[dim]} is over 10 % off {size}")
    changed = [v for d, v in combo.confirm.items() if v != combo.shape[d]]
    out += [f"'{label}': confirm size {v} is a multiple of 64" for v in changed if v % 64 == 0]
    return out


def _find_repeated(items: list[str], kind: str) -> list[str]:
    return [f"{kind} '{i}' appears twice" for i in dict.fromkeys(items) if items.count(i) > 1]


def list_waiting(root: Path) -> list[Waiting]:
    """The kernels that wait, in the order of targets/waiting.toml; none if it is absent."""
    path = root / "targets" / "waiting.toml"
    if not path.exists():
        return []
    rows = tomllib.loads(path.read_text())["target"]
    running = set(list_targets(root))
    return [Waiting(**row) for row in rows if row["name"] not in running]
