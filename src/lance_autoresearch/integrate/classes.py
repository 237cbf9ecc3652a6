"""Which query classes call a target's kernel: targets/T/integration/classes.toml.

    plan = load_classes(root, "hamming", "e2e")       plan.main, plan.all
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lance_autoresearch.errors import UsageError

MANIFEST = "integration/classes.toml"


@dataclass(frozen=True, slots=True)
class TargetClasses:
    """The classes of one program that a target names."""

    main: str
    all: tuple[str, ...]


def load_classes(root: Path, target: str, program: str) -> TargetClasses:
    """Raises UsageError if the target names none for this program, or the file is wrong."""
    path = root / "targets" / target / MANIFEST
    where = f"targets/{target}/{MANIFEST}"
    if not path.is_file():
        have = sorted(p.parent.parent.name for p in root.glob(f"targets/*/{MANIFEST}"))
        raise UsageError(f"target '{target}' has no integration", allowed=have)
    try:
        table = tomllib.loads(path.read_text())[program]
        found = TargetClasses(str(table["main"]), tuple(map(str, table["all"])))
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"not valid TOML: {error}", where=where) from None
    except (KeyError, TypeError):
        raise UsageError(f"has no table [{program}] with main and all", where=where) from None
    if found.main not in found.all or len(set(found.all)) < len(found.all):
        raise UsageError("`main` is not among `all`, or a class is named twice", where=where)
    return found


def select_classes(
    plans: Sequence[TargetClasses], wanted: Sequence[str], every: bool
) -> tuple[str, ...]:
    """The classes to measure: those wanted, all, or the main ones; each once.

    Args:
        plans: of the targets whose kernels are one candidate.

    Raises:
        UsageError: none of them names a class that is wanted.
    """
    known = dict.fromkeys(name for plan in plans for name in plan.all)
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise UsageError(f"no class '{unknown[0]}' of this target", allowed=known)
    main = dict.fromkeys(plan.main for plan in plans)
    return tuple(wanted) or tuple(known if every else main)
