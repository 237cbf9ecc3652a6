"""Real trials of nulls and of injected effects: they show how the gate decides a known truth.

    aa        the champion, rebuilt, as its own candidate
    padding   the same functions renamed, in another order, linked in a fresh layout: shuffled,
              or behind or before the contract's code with 0 to 60 bytes of no-ops between
    identity  Lance's own text, rebuilt and linked afresh, against Lance
    delay     the champion is slower by X %; the same code without the delay is the candidate
    regress   a kernel 3 % faster everywhere but in one combo, where it is X % slower

Each is a whole trial, from admission to confirmation, on real builds and real pairs, and a row of
the ledger with its raw pairs. Rows of the same kind under the same rules are counted, so a
calibration goes on where it was stopped.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from lance_autoresearch.build.link import SHUFFLED
from lance_autoresearch.calibration.dosing import Dose, find_dose
from lance_autoresearch.calibration.rulesets import find_equal_rulesets
from lance_autoresearch.campaign.calibration_rows import select_rows
from lance_autoresearch.campaign.coordinator import Coordinator, Story
from lance_autoresearch.campaign.nulls import make_null
from lance_autoresearch.errors import MachineError, UsageError
from lance_autoresearch.host.phases import Phases
from lance_autoresearch.records import TrialKind, TrialRecord

FASTER = 0.03
"""What a `regress` kernel gains in every other combo."""
DOSES = 2
"""How often a dose is measured again while a combo, or the mean of all, is off."""
PATIENCE = 20


def find_faults(kind: TrialKind) -> str:
    """What is wrong with a kind of calibration, or an empty string."""
    if kind.needs_dose and not 0 < kind.effect <= 50:
        return f"--kind {kind.name} needs --effect, above 0 and at most 50 (%)"
    if kind.is_null and kind.effect:
        return f"--kind {kind.name} is a null: it has no --effect"
    return ""


@dataclass(frozen=True, slots=True)
class Case:
    """One trial to come."""

    champion: bytes
    candidate: bytes
    layout: int | None
    about: str
    order: str = SHUFFLED


def run_calibration(
    root: Path, target: str, champion: bytes | None, kind: TrialKind, *,
    trials: int | None, hours: float | None, show: Callable[[str], None], patience: int = PATIENCE,
) -> Iterator[TrialRecord]:  # fmt: skip
    """Run trials of one kind until the ledger holds `trials` of them, or time is over.

    Args:
        patience: trials in a row that the machine may fail (too busy, say) before it is raised.

    Raises:
        UsageError: an effect is missing or out of range.
        LarError: the machine, the ledger or trusted code failed; the rows so far stand.
    """
    if fault := find_faults(kind):
        raise UsageError(fault, where=kind.name)
    end = None if hours is None else time.monotonic() + 3600 * hours
    dose: Dose | None = None
    lost = 0
    with Coordinator(root, target, champion=champion, phases=Phases(show)) as coordinator:
        bench = coordinator.bench
        base = bench.first_kernel if kind.name == "identity" else coordinator.champion_text
        rules = find_equal_rulesets(root, target, coordinator.ruleset)
        done = len(select_rows(coordinator.ledger, target, kind.label, rules))
        while (trials is None or done < trials) and (end is None or time.monotonic() < end):
            coordinator.begin_phases(Phases(show))
            try:
                if dose is None and kind.needs_dose:
                    with bench.phases("dose"):
                        dose = _find_dose(coordinator, base, kind)
                case = _make_case(coordinator, kind, base, dose, done)
                record = _judge_case(coordinator, case, kind, dose)
            except MachineError as error:
                lost += 1
                if lost > patience:
                    raise
                bench.phases.say(f"not measured: {error.what}")
                continue
            done, lost = done + 1, 0
            yield record


def _find_dose(coordinator: Coordinator, base: bytes, kind: TrialKind) -> Dose:
    """The best of a few doses; one that is right everywhere and in the mean ends the search."""
    share = kind.effect / 100 if kind.name == "delay" else FASTER
    doses: list[Dose] = []
    while len(doses) < DOSES and not any(dose.is_near(share) and not dose.off for dose in doses):
        doses.append(find_dose(coordinator.bench, base, share, coordinator.policy))
    return min(doses, key=lambda dose: (not dose.is_near(share), len(dose.off)))


def _judge_case(
    coordinator: Coordinator, case: Case, kind: TrialKind, dose: Dose | None
) -> TrialRecord:
    """Judge one case and write its row."""
    coordinator.set_champion(case.champion)
    if coordinator.find_noise() is None:
        coordinator.measure_noise()  # of the machine without our load
    story = Story(case.about, "calibrate", kind.label, layout=case.layout, order=case.order)
    with keep_core_busy(coordinator.bench.cores, kind.load):
        judged = coordinator.judge(case.candidate, story)
    if dose is not None:
        # What was kept can be measured again on another day.
        coordinator.ledger.put_blob(case.champion)
        judged = replace(judged, results=replace(judged.results, dose=dose.came))
    number = coordinator.record(case.candidate, judged, story).number
    return coordinator.ledger.get_trial(number).record


def _make_case(
    coordinator: Coordinator, kind: TrialKind, base: bytes, dose: Dose | None, number: int
) -> Case:
    """Champion and candidate of the trial with a number."""
    if kind.is_null:
        made = make_null(coordinator, kind.name, base, number)
        return Case(base, made.text, made.layout, made.about, made.order)
    assert dose is not None
    mark = f"\n// {kind.name} {number}\n".encode()  # other bytes, the same program: built again
    everywhere = dict.fromkeys(dose.rows, kind.effect / 100)
    off = "".join(f"; {label} {share:.2f}" for label, share in dose.off.items())
    if kind.name == "delay":
        about = f"without a delay of {kind.effect:g} %{off and ' (off by:' + off[1:] + ')'}"
        return Case(dose.render_kernel(everywhere), dose.render_kernel({}) + mark, None, about)
    combos = coordinator.bench.combos
    slow = combos[number % len(combos)].label
    shares = dict.fromkeys(dose.rows, FASTER)
    worse = {slow: (1 + FASTER) * (1 + kind.effect / 100) - 1}
    about = f"{slow} {kind.effect:g} % slower, the others {100 * FASTER:g} % faster"
    return Case(dose.render_kernel(shares), dose.render_kernel(worse) + mark, None, about)


@contextmanager
def keep_core_busy(cores: tuple[int, int], load: str | None) -> Iterator[None]:
    """Keep one core busy: `measuring` (the workers') or `conductor`; None: neither."""
    if load is None:
        yield
        return
    core = cores[0 if load == "measuring" else 1]
    program = f"import os\nos.sched_setaffinity(0, {{{core}}})\nwhile True: pass"
    process = subprocess.Popen([sys.executable, "-c", program])
    try:
        yield
    finally:
        process.kill()
        with contextlib.suppress(OSError):
            process.wait()
