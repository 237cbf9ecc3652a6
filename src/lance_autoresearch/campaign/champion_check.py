"""Is a campaign's champion right? Against a wrong one no kernel can be judged."""

from __future__ import annotations

from pathlib import Path

from lance_autoresearch.bench.bench import Bench
from lance_autoresearch.errors import UsageError
from lance_autoresearch.judge.check import check_text
from lance_autoresearch.text.fault_text import describe_fault
from lance_autoresearch.text.reasons import describe_reason


def check_champion(bench: Bench, text: bytes, *, where: str) -> None:
    """Compare a champion with Lance, after admission, build and audit; nothing is timed.

    Lance's own code, as the target composes it, is right by definition.

    Args:
        where: the file, trial or campaign that the text comes from.

    Raises:
        UsageError: it is refused or disagrees with Lance.
        MachineError: it could not be compared.
    """
    if text == bench.first_kernel:
        return
    _, end = check_text(bench, text)
    if end is None:
        return
    why = describe_fault(bench.target, end.fault) if end.fault else describe_reason(end.reason)
    raise UsageError(
        f"the champion cannot be one: {end.verdict}, {why.splitlines()[0]}", where=where,
        next=f"./lar start {bench.target.name} --from upstream",
    )


def check_beginning(root: Path, target: str, text: bytes, *, where: str) -> None:
    """The same for the kernel that a campaign shall begin with; see `check_champion`."""
    with Bench(root, target) as bench:
        check_champion(bench, text, where=where)
