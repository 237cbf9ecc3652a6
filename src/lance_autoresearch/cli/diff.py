"""`lar diff`: compare one kernel with Lance where the values may be shown."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lance_autoresearch.host import checkout

if TYPE_CHECKING:
    from lance_autoresearch.ledger import Ledger


def show_differences(
    kernel: str, *, target: str | None = None, case: int | None = None, json: bool = False
) -> int:
    """Compare a kernel with Lance on public inputs, and show the values that differ.

    A trial's inputs are secret, so its verdict names the place of a difference and not the values.
    Here the seed is public. Nothing is timed, kept or written.

    Exit code: 0 all cases are equal, 2 one is not.

    Args:
        kernel: a file, or the number of a trial in the ledger (for a file named like a number
            write ./NUMBER).
        target: name of the target; by default it follows from the trial, or from the file's place
            (targets/NAME/...).
        case: compare only this case (numbers as messages give them).
        json: one object per line.
    """
    from lance_autoresearch.calibration.public_inputs import compare_public
    from lance_autoresearch.campaign.coordinator import Coordinator
    from lance_autoresearch.cli.facts import print_facts
    from lance_autoresearch.targets.champion import read_champion

    root = checkout.find_root()
    name = target or find_target(root, kernel)
    with Coordinator(root, name, champion=read_champion(root, name)) as coordinator:
        text = _read_text(coordinator.ledger, kernel)
        return print_facts(compare_public(coordinator.bench, text, case), json=json)


def find_target(root: Path, kernel: str, verb: str = "diff") -> str:
    """The target that a trial or a file belongs to.

    Args:
        verb: the command that asks, for its message.

    Raises:
        UsageError: no such trial, or the file is not below a directory targets/NAME.
    """
    from lance_autoresearch.errors import UsageError
    from lance_autoresearch.ledger import Ledger

    if kernel.isdecimal():
        with Ledger.open(root) as ledger:
            return ledger.get_trial(int(kernel)).record.target
    parts = Path(kernel).absolute().parts[:-1]
    for parent, name in zip(reversed(parts[:-1]), reversed(parts[1:]), strict=True):
        if parent == "targets":
            return name
    raise UsageError(
        "cannot infer the target from the kernel's path",
        where=kernel,
        allowed=["a trial's number", "a file below targets/NAME/", "--target NAME"],
        next=f"lar {verb} {kernel} --target NAME",
    )


def _read_text(ledger: Ledger, kernel: str) -> bytes:
    from lance_autoresearch.host.kernel_file import read_kernel

    if kernel.isdecimal():
        return ledger.get_blob(ledger.get_trial(int(kernel)).record.kernel)
    return read_kernel(Path(kernel))
