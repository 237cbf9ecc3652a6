"""`lar explain`: what a kernel's machine code looks like, and how far it is from memory's limit."""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from lance_autoresearch.host import checkout

if TYPE_CHECKING:
    from lance_autoresearch.campaign.coordinator import Coordinator


def explain(
    target: str,
    *,
    kernel: Path | None = None,
    trial: int | None = None,
    op: str | None = None,
    tier: Literal["native", "avx512", "avx2", "scalar"] = "native",
    long: bool = False,
    untimed: bool = False,
    json: bool = False,
) -> int:
    """Show the loops of a kernel in machine code, beside its champion's or Lance's.

    Per op: width of vectors, instructions of a turn, accesses to the stack, calls, checks that may
    panic, gathers. Models of the processor (llvm-mca, OSACA) are asked where they are installed.
    Then, per timed combo, the measured time beside that of a program that only reads the inputs
    and writes the outputs, which the report shows too. Nothing is judged or kept. No root, no
    hardware counters.

    Args:
        target: name of the target.
        kernel: this file; by default the campaign's kernel, else the champion.
        trial: the kernel of this trial in the ledger, and which combos lost.
        op: only this op.
        tier: leave out loops of wider vectors than this tier has.
        long: print the assembly of each first loop, and how it differs from the other's.
        untimed: do not measure how far each combo is from reading and writing alone.
        json: print one object.
    """
    from lance_autoresearch.campaign.coordinator import Coordinator
    from lance_autoresearch.errors import UsageError
    from lance_autoresearch.explain.explanation import explain_kernel
    from lance_autoresearch.explain.headroom_store import save_headroom
    from lance_autoresearch.explain.wording import convert_to_json, write_explanation
    from lance_autoresearch.ledger import hash_bytes

    root = checkout.find_root()
    if kernel is not None and trial is not None:
        raise UsageError("a file and a trial were given", allowed=["--kernel FILE", "--trial N"])
    with Coordinator(root, target) as coordinator:
        bench = coordinator.bench
        known = [one.name for one in bench.target.ops]
        if op is not None and op not in known:
            raise UsageError(f"{target} has no op '{op}'", allowed=known)
        text, other, names, profile = _choose_texts(coordinator, root, target, kernel, trial)
        found = explain_kernel(
            bench, text, other, coordinator.policy, tier=tier, only=op, timed=not untimed
        )
    if found.headroom and op is None and tier == "native":
        save_headroom(root, target, hash_bytes(text), found.cpu_kind, found.headroom)
    if json:
        print(json_module.dumps({**convert_to_json(found, names), "profile": profile}))
    else:
        print("\n".join([*write_explanation(found, names, long=long), *profile]))
    return 0


def _choose_texts(
    coordinator: Coordinator, root: Path, target: str, kernel: Path | None, trial: int | None
) -> tuple[bytes, bytes, tuple[str, str], list[str]]:
    """The kernel, what it is compared with, the names of both, and the profile of a trial."""
    from lance_autoresearch.campaign.feedback import write_feedback
    from lance_autoresearch.campaign.kernel_under_test import resolve_kernel
    from lance_autoresearch.errors import UsageError

    lance = coordinator.bench.first_kernel
    if trial is not None:
        record = coordinator.ledger.get_trial(trial).record
        if record.target != target:
            raise UsageError(f"trial {trial} is of {record.target}",
                             next=f"./lar explain {record.target} --trial {trial}")
        text = coordinator.ledger.get_blob(record.kernel)
        other = coordinator.ledger.find_blob(record.champion) or lance
        return text, other, (f"trial {trial}", _name_other(other, lance)), write_feedback(record)
    subject = resolve_kernel(root, target, kernel, Path.cwd())
    other = subject.champion or lance
    if subject.text == other:
        other = lance
    return subject.text, other, (subject.path.name, _name_other(other, lance)), []


def _name_other(other: bytes, lance: bytes) -> str:
    return "Lance's own code" if other == lance else "the champion"
