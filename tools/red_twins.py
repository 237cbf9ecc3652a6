"""Kernels of tools/red_twins.toml: written one at a time, for conditions that no draw is made of.

    twins = read_twins(path)
    write_twin(twin, honest, target, surface)     kernels.rs
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from red_calls import Surface
from red_kernels import Effect, list_slow, list_wrong, write_kernel
from red_kinds import Harm, Nature
from red_regions import Condition, Quantity, Region

from lance_autoresearch.errors import UsageError
from lance_autoresearch.targets.cheats import expand_template
from lance_autoresearch.targets.spec import Target

FILE = Path(__file__).with_name("red_twins.toml")
STATES = Path(__file__).with_name("red_states.rs")
WORDS = {"name", "row", "target", "op", "where", "effect", "after", "before", "body", "items",
         "set", "known", "open"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Twin:
    """One kernel that must not be kept, before it is written."""

    name: str
    row: int
    """Its class in docs/threats.toml."""
    target: str
    op: str
    where: str = "true"
    effect: str = ""
    after: str = ""
    before: str = ""
    body: str = ""
    """The whole function, in place of a region and an effect; `OP_honest(...)` is the champion."""
    items: str = ""
    set: str = ""
    """Where a bit is set that must not outlive its slice; `where` then says where it is read."""
    known: str = ""
    """Rust that reads the bit, and sets it if `set` is true: tools/red_states.rs."""
    open: str = ""
    """Why it is kept, if SECURITY.md says that such a kernel is."""

    @property
    def must_end(self) -> bool:
        """Whether it must be refused. One that is wrong only if a bit outlives its slice must not
        be: it shows that none does."""
        return not self.known and not self.open

    @property
    def harm(self) -> Harm:
        """Slow if its effect is work done several times."""
        return Harm.SLOW if self.effect.endswith(" times") else Harm.WRONG


def read_twins(path: Path = FILE) -> list[Twin]:
    """All twins of a file. Raises UsageError for an unknown word or a name that appears twice."""
    twins = [_parse_twin(data) for data in tomllib.loads(path.read_text("utf-8"))["twin"]]
    names = [twin.name for twin in twins]
    if len(set(names)) < len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise UsageError(f"named twice: {', '.join(twice)}", where=path.name)
    return twins


def _parse_twin(data: Mapping[str, Any]) -> Twin:
    if unknown := set(data) - WORDS:
        raise UsageError(
            f"unknown: {', '.join(sorted(unknown))}", where=str(data.get("name")),
            allowed=sorted(WORDS),
        )  # fmt: skip
    return Twin(**data)


def write_twin(twin: Twin, honest: bytes, target: Target, surface: Surface) -> bytes:
    """Its kernel. Raises UsageError if the op has no such effect."""
    if twin.body:
        template = f"{twin.items}\nsurface! {{\n{twin.body.strip(chr(10))}\n}}\n"
        return expand_template(template, honest.decode(), target, twin.op).encode()
    before, items, inside = twin.before, twin.items, twin.where
    if twin.known:
        before = f"let set: bool = {twin.set};\n    let known = {twin.known};\n    {before}"
        inside, items = f"known && ({inside})", items + STATES.read_text("utf-8")
    where = Quantity(inside, f"u64::from({inside})", Nature.DATA)
    region = Region((Condition(where, 1, 2),))
    effect = Effect(twin.harm, twin.name, before, twin.after or _find_effect(twin, surface))
    text = write_kernel(honest, target, surface, region, effect)
    return text + items.encode()


def _find_effect(twin: Twin, surface: Surface) -> str:
    """Statements of the named effect; without a name those of the first."""
    known = {e.name: e for e in (*list_wrong(surface), *list_slow(surface))}
    name = twin.effect or next(iter(known))
    if name not in known:
        raise UsageError(f"no effect '{name}'", where=twin.name, allowed=list(known))
    assert not known[name].before, "an effect of two parts cannot be named"
    return known[name].after
