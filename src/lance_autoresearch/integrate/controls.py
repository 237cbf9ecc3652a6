"""Two controls of every figure: A against A, and Lance's own code by the route of a candidate.

    found = ensure_controls(space, "hamming", hook, classes, ...)   measured, or an hour old

The first says how far pairs scatter here and now; the second, whether a hook is neutral. Both
belong to one program, one set of datasets, one boot and one control library, and are kept in
controls.json.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from lance_autoresearch.bench.meter import gather_pairs
from lance_autoresearch.build.kit import hash_parts
from lance_autoresearch.host.files import write_atomically
from lance_autoresearch.host.machine import read_boot_id
from lance_autoresearch.integrate.meter import QueryMeter
from lance_autoresearch.integrate.pairs import judge_classes
from lance_autoresearch.integrate.server import Hook
from lance_autoresearch.integrate.state import State, hash_file
from lance_autoresearch.integrate.workspace import Workspace
from lance_autoresearch.records import ClassEffect, Effect, PairTimes
from lance_autoresearch.rules.policy import QUERIES

_KEPT = 64
"""Controls that are kept; older ones go first."""


@dataclass(frozen=True, slots=True)
class Control:
    """Both controls of one query class."""

    alike: ClassEffect
    """Lance against Lance."""
    routed: ClassEffect
    """Lance against Lance's own code behind the hook."""
    when: float
    """Seconds since the epoch."""


def ensure_controls(
    space: Workspace, state: State, hook: Hook, classes: Sequence[str], *, core: int,
    features: int, say: Callable[[str], None],
) -> dict[str, Control]:  # fmt: skip
    """Controls of every class, those that are fresh enough from the file.

    Raises:
        MachineError: Lance itself failed.
        CandidateAtFault: Lance's own code behind the hook answered otherwise.
    """
    keys = {name: _make_key(space, state, hook, name, features) for name in classes}
    known = _read_controls(space)
    now = time.time()
    fresh = {
        name: known[key]
        for name, key in keys.items()
        if key in known and 0 <= now - known[key].when <= QUERIES.control_seconds
    }
    missing = [name for name in classes if name not in fresh]
    if missing:
        say(f"controls of {len(missing)} classes: Lance against itself, and through the hook")
        alike = _measure(space, missing, (), core, features)
        routed = _measure(space, missing, (hook,), core, features)
        for name, one, other in zip(missing, alike, routed, strict=True):
            fresh[name] = Control(one, other, now)
            if min(one.pairs, other.pairs) >= QUERIES.min_pairs:
                known[keys[name]] = fresh[name]
        _write_controls(space, known)
    return fresh


def _measure(
    space: Workspace, classes: Sequence[str], hooks: tuple[Hook, ...], core: int, features: int
) -> tuple[ClassEffect, ...]:
    meter = QueryMeter(space, classes, a=(), b=hooks, core=core, features=features)
    pairs: list[PairTimes] = []
    while sum(pair.void is None for pair in pairs) < QUERIES.min_pairs:
        if len(pairs) >= QUERIES.max_pairs:
            break
        pairs.append(meter.measure_pair())
    return judge_classes(gather_pairs(meter, pairs))


def _make_key(space: Workspace, state: State, hook: Hook, name: str, features: int) -> str:
    datasets = [f"{key} {one.digest}" for key, one in sorted(state.datasets.items())]
    return hash_parts(
        state.program, *datasets, read_boot_id(), hook.target, ",".join(hook.ops),
        hash_file(hook.library), name, str(features),
    )  # fmt: skip


def _read_controls(space: Workspace) -> dict[str, Control]:
    try:
        table = json.loads((space.home / "controls.json").read_text())
        return {
            key: Control(_read_effect(one["alike"]), _read_effect(one["routed"]), one["when"])
            for key, one in table.items()
        }
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _read_effect(table: dict[str, object]) -> ClassEffect:
    return ClassEffect(**{**table, "effect": Effect(str(table["effect"]))})  # type: ignore[arg-type]


def _write_controls(space: Workspace, known: dict[str, Control]) -> None:
    newest = sorted(known.items(), key=lambda item: item[1].when)[-_KEPT:]
    text = json.dumps({key: asdict(one) for key, one in newest}, indent=1)
    write_atomically(space.home / "controls.json", text.encode())
