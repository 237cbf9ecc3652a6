"""Verbs under their former names: hidden, and kept for scripts for one more release."""

from __future__ import annotations

import sys
from pathlib import Path


def run_check(
    target: str,
    *,
    kernel: Path | None = None,
    trial: int | None = None,
    case: int | None = None,
    pairs: int = 16,
    json: bool = False,
) -> int:
    """Old name of `lar validate TARGET` and, with a kernel or a trial, of `lar diff`.

    Exit code: 0 all hold, 2 one does not.

    Args:
        target: name of the target.
        kernel: compare this file with Lance and stop.
        trial: compare the kernel of this trial of the ledger and stop.
        case: with --kernel or --trial, only this case.
        pairs: number of pairs of the A/A test.
        json: one object per line.
    """
    from lance_autoresearch.cli.diff import show_differences
    from lance_autoresearch.cli.validate import validate
    from lance_autoresearch.errors import UsageError

    if kernel is None and trial is None:
        _announce("check", f"validate {target}")
        if case is not None:
            raise UsageError(
                "--case needs the kernel it is about", next=f"lar diff KERNEL --case {case}"
            )
        return validate(target, pairs=pairs, json=json)
    name = str(trial) if kernel is None else str(kernel.absolute())
    _announce("check", f"diff {name if kernel is None else kernel}")
    return show_differences(name, target=target, case=case, json=json)


def run_gate(file: Path, *, all_pairs: bool = False, json: bool = False) -> int:
    """Old name of `lar rejudge`.

    Args:
        file: JSON file.
        all_pairs: use all pairs at once instead of stopping at the gate's first decision.
        json: print one JSON object instead of the block.
    """
    from lance_autoresearch.cli.rejudge import rejudge

    _announce("gate", "rejudge FILE")
    return rejudge(file, all_pairs=all_pairs, json=json)


def _announce(old: str, new: str) -> None:
    """Name the new command on standard error, where no script reads results."""
    print(f"note: `lar {old}` is now `lar {new}`; the old name works for one more release",
          file=sys.stderr)
