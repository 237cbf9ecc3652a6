"""`lar check`: prove that a target's harness judges rightly."""

from __future__ import annotations

import json as json_module
from pathlib import Path

from lance_autoresearch.host import checkout

EXIT_FAILED = 2


def check(
    target: str,
    *,
    kernel: Path | None = None,
    trial: int | None = None,
    case: int | None = None,
    pairs: int = 16,
    json: bool = False,
) -> int:
    """Prove that a target's harness judges rightly.

    The champion equals Lance on every case; every committed cheat is refused; odd but honest
    kernels are not; the champion against its own copy is not kept; a pair costs at most 0.25 s.

    With --kernel or --trial only that kernel is compared with Lance, on inputs of a *public* seed,
    so that a difference is shown with its values.

    Exit code: 0 all hold, 2 one does not.

    Args:
        target: name of the target.
        kernel: compare this file with Lance and stop.
        trial: compare the kernel of this trial of the ledger and stop.
        case: with --kernel or --trial, only this case (numbers as messages give them).
        pairs: of the A/A null.
        json: one object per line.
    """
    from lance_autoresearch.calibration.proof import Line, prove
    from lance_autoresearch.calibration.public import compare_public
    from lance_autoresearch.campaign.coordinator import Coordinator
    from lance_autoresearch.errors import UsageError
    from lance_autoresearch.host.kernel_file import read_kernel
    from lance_autoresearch.targets.champion import read_champion

    if case is not None and kernel is None and trial is None:
        raise UsageError(
            "--case needs the kernel it is about",
            next=f"./lar check {target} --case {case} --kernel FILE, or --trial NUMBER",
        )
    root = checkout.find_root()
    ok = True

    def show(line: Line) -> None:
        nonlocal ok
        ok &= line.ok
        if json:
            body = {"v": 1, "ok": line.ok, "what": line.what, "detail": line.detail}
            print(json_module.dumps(body), flush=True)
        else:
            print(f"{'ok  ' if line.ok else 'FAIL'}  {line.what}: {line.detail}", flush=True)

    with Coordinator(root, target, champion=read_champion(root, target)) as coordinator:
        bench, ledger = coordinator.bench, coordinator.ledger
        text = read_kernel(kernel) if kernel else None
        if trial is not None:
            text = ledger.get_blob(ledger.trial(trial).record.kernel)
        if text is None:
            champion, policy = coordinator.champion_text, coordinator.policy
            lines = prove(bench, champion, policy, pairs=pairs)
        else:
            lines = compare_public(bench, text, case)
        for line in lines:
            show(line)
    return 0 if ok else EXIT_FAILED
