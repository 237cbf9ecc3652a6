"""`lar ablate`: the smallest change that holds a trial's gain."""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import TYPE_CHECKING

from lance_autoresearch.host import checkout

if TYPE_CHECKING:
    from lance_autoresearch.campaign.ablation import Ablation, AblationWalk, Step


def ablate(
    target: str,
    *,
    trial: int,
    lance: bool = False,
    trials: int | None = None,
    minutes: float | None = None,
    out: Path | None = None,
    json: bool = False,
) -> int:
    """Find the smallest change that holds a trial's gain, by real trials.

    The trial's kernel is judged again; then tiers, functions, hunks and constants are left out one
    by one, and each rest is judged like any other kernel. A rest that is kept, with at least 90 %
    of the gain, takes the kernel's place. A trial takes 1 to 20 s. Every trial is a row of the
    ledger and counts in the error budget; a later call goes on where one was ended or killed.

    Args:
        target: name of the target.
        trial: the trial that made the change.
        lance: hold the gain against Lance's own code, not against the trial's champion.
        trials: stop after this many new trials.
        minutes: stop after this time.
        out: write the smallest kernel to this file.
        json: print one object per trial, then the result.
    """
    from lance_autoresearch.campaign.ablation import (
        AblationBudget,
        AblationWalk,
        load_ablation,
        run_ablation,
    )
    from lance_autoresearch.campaign.coordinator import Coordinator
    from lance_autoresearch.errors import UsageError
    from lance_autoresearch.host.live import Live
    from lance_autoresearch.ledger import Ledger

    root = checkout.find_root()
    wrong = [name for name, value in (("--trials", trials), ("--minutes", minutes))
             if value is not None and value <= 0]  # fmt: skip
    if wrong:
        raise UsageError(f"{' and '.join(wrong)} must be above 0")
    with Ledger.open(root) as ledger:
        ablation = load_ablation(ledger, target, trial, _read_lance(root, target, lance))
    walk = AblationWalk(ablation.kernel)
    with Live(enabled=not json, prefix=f"ablate {trial}  ") as live, Coordinator(
        root, target, champion=ablation.base
    ) as coordinator:
        budget = AblationBudget(trials, minutes)
        for step in run_ablation(coordinator, ablation, budget, live.show, walk):
            live.clear()
            _print_step(step, json)
    if out is not None:
        out.write_bytes(walk.text)
    _print_result(ablation, walk, target, json)
    return 0


def _read_lance(root: Path, target: str, wanted: bool) -> bytes | None:
    from lance_autoresearch.build.builder import compose_first_kernel

    return compose_first_kernel(root, target) if wanted else None


def _print_step(step: Step, json: bool) -> None:
    from lance_autoresearch.campaign.ablation import WHOLE
    from lance_autoresearch.text.curve import find_overall_gain

    name = WHOLE if step.part is None else f"without {step.part.kind} {step.part.name}"
    gain = find_overall_gain(step.record)
    if json:
        row = {"v": 1, "trial": step.number, "part": name, "held": step.held, "gain": gain,
               "verdict": str(step.record.verdict), "remembered": step.remembered}  # fmt: skip
        print(json_module.dumps(row), flush=True)
        return
    word = "held" if step.held else "lost"
    shown = "" if gain is None else f" {gain:+.2f}%"
    print(f"{word}  trial {step.number}  {step.record.verdict}{shown}  {name}", flush=True)


def _print_result(ablation: Ablation, walk: AblationWalk, target: str, json: bool) -> None:
    from lance_autoresearch.ledger import hash_bytes
    from lance_autoresearch.text.difference import compute_difference

    before, after = (compute_difference(ablation.base, text).size
                     for text in (ablation.kernel, walk.text))  # fmt: skip
    if json:
        print(json_module.dumps({
            "v": 1, "finished": walk.finished, "kernel": hash_bytes(walk.text),
            "change_before": before, "change": after,
        }))  # fmt: skip
        return
    print(f"change  {before} lines before, {after} now; kernel {hash_bytes(walk.text)[:12]}")
    if not walk.finished:
        print(f"next    ./lar ablate {target} --trial {ablation.trial} goes on")
