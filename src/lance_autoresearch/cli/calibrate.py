"""`lar calibrate`: real trials whose correct verdict is known."""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from lance_autoresearch.host import checkout, machine

if TYPE_CHECKING:
    from lance_autoresearch.calibration.scores import Score
    from lance_autoresearch.records import TrialKind


def calibrate_gate(
    target: str,
    *,
    kind: Literal["aa", "padding", "identity", "delay", "regress"] = "aa",
    effect: float = 0.0,
    trials: int | None = None,
    hours: float | None = None,
    load: Literal["measuring", "conductor"] | None = None,
    report: bool = False,
    export: Path | None = None,
    json: bool = False,
) -> int:
    """Run trials whose correct verdict is known: how often the gate errs, and by how much.

    A null (aa: the champion rebuilt; padding: functions renamed and reordered, either link order,
    a fresh layout; identity: Lance's own text) must not be kept. A delay of X % is put into the
    champion, so that the same code without it is a true gain of X %. regress: one combination X %
    slower, the others 3 % faster; it must not be kept. Every trial runs the whole pipeline and is
    a row of the ledger with its raw pairs. Earlier trials of the same kind under the same rules
    count, so the command continues where it was stopped; after a change of rules, targets or
    measuring code it begins at 0.

    Args:
        target: name of a target, or `all` for every one in turn.
        kind: the null or the injected effect.
        effect: its size in %, for delay and regress.
        trials: run until the ledger holds this number for each target (10 if no --hours).
        hours: stop after this time, for each target.
        load: keep the workers' core (measuring) or the conductor's busy meanwhile.
        report: run nothing; print what the ledger holds.
        export: write one line a trial to this file (TSV) for records/calibration/.
        json: one object per trial, then one per line of the table.
    """
    from lance_autoresearch.calibration.scores import format_tsv, score_trials
    from lance_autoresearch.campaign.calibration_rows import (
        list_calibration_trials,
        resolve_targets,
    )
    from lance_autoresearch.records import TrialKind

    root = checkout.find_root()
    names = resolve_targets(root, target)
    wanted = TrialKind(kind, effect, load)
    if not report and export is None:
        count = 10 if trials is None and hours is None else trials
        for name in names:
            _run_trials(root, name, wanted, count, hours, json)
    found = list_calibration_trials(root, names)
    if export is not None:
        export.parent.mkdir(parents=True, exist_ok=True)
        export.write_text(format_tsv(found, machine.describe_origin(root)), encoding="utf-8")
    mine = found if report or export else [s for s in found if s.kind == wanted.label]
    _show_scores(score_trials(mine), json)
    return 0


def _run_trials(
    root: Path, target: str, kind: TrialKind, trials: int | None, hours: float | None, json: bool
) -> None:
    from lance_autoresearch.campaign.calibration import run_calibration
    from lance_autoresearch.campaign.calibration_rows import list_calibration_trials
    from lance_autoresearch.host.live import Live
    from lance_autoresearch.targets.champion import read_champion
    from lance_autoresearch.text.verdict_text import record_to_json

    champion = read_champion(root, target)
    with Live(enabled=not json, prefix=f"{target} {kind.label}  ") as live:
        made = run_calibration(
            root, target, champion, kind, trials=trials, hours=hours, show=live.show
        )
        before = sum(shot.kind == kind.label for shot in list_calibration_trials(root, [target]))
        for number, record in enumerate(made, before + 1):
            if json:
                print(json_module.dumps({"v": 1, **record_to_json(record)}), flush=True)
                continue
            live.clear()
            gain = "" if record.gain is None else f"  {record.gain:+.2f}%"
            place = f"{number}" if trials is None else f"{number} of {trials}"
            line = f"{target} {kind.label}  {place}  {record.verdict}{gain}  {record.reason}"
            print(line, flush=True)


def _show_scores(scores: list[Score], json: bool) -> None:
    from lance_autoresearch.calibration.scores import HEAD, format_cells

    if json:
        for score in scores:
            body = dict(zip(HEAD, format_cells(score), strict=True))
            print(json_module.dumps({"v": 1, "score": body}))
        return
    if not scores:
        print("no such trial under today's rules (targets, rust, rules, policy, Lance)")
        return
    rows = [HEAD, *(format_cells(score) for score in scores)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(HEAD))]
    for row in rows:
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print(line.rstrip())
