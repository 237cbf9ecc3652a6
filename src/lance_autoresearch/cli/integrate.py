"""`lar integrate`: is a faster kernel a faster Lance?"""

from __future__ import annotations

import json as jsonlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from lance_autoresearch.host import checkout

if TYPE_CHECKING:
    from lance_autoresearch.integrate.class_report import IntegrationReport
    from lance_autoresearch.integrate.workspace import Workspace

_PROGRAM = "e2e"


def integrate(
    what: str,
    target: str | None = None,
    /,
    *,
    kernel: Path | None = None,
    trial: int | None = None,
    query_class: tuple[str, ...] = (),
    op: tuple[str, ...] = (),
    also: tuple[str, ...] = (),
    all_classes: bool = False,
    program: str = _PROGRAM,
    jobs: int | None = None,
    record: bool = False,
    json: bool = False,
) -> int:
    """Measure a kernel in whole queries of the real Lance.

    `lar integrate setup` builds the pinned release once, with hooks in front of the kernels, and
    writes the datasets: about 50 minutes on two cores and 10 GB. It goes on where it was stopped.
    `lar integrate TARGET` puts a kernel behind the hooks and compares whole queries, answer by
    answer and process pair by process pair. `lar integrate shapes TARGET` shows with which sizes
    queries call the kernel, beside those that trials time. `lar gc --integrate` deletes it all.

    Exit code: 0 no class is slower, 1 one is, 2 answers differ, 3 the kernel failed, 4 a class is
    not resolved, not reached or not believed.

    Args:
        what: setup, shapes, or the target to measure.
        target: of shapes.
        kernel: a file; default the target's champion.
        trial: the kernel of a trial in the ledger.
        query_class: measure these classes; default the target's main one.
        also: put the champions of these targets behind their hooks too: one candidate.
        op: put only these ops behind the hooks.
        all_classes: measure every class that the target names, up to five minutes.
        program: e2e is Lance; light is one small crate of it, for tests.
        jobs: parallel compilers of setup.
        record: write the champion's verdict to records/integration/, for the tables of README.
        json: print one JSON object.
    """
    from lance_autoresearch.errors import UsageError
    from lance_autoresearch.integrate.record import write_record
    from lance_autoresearch.integrate.workspace import describe_workspace

    root = checkout.find_root()
    space = describe_workspace(root, program)
    if what == "setup":
        return _set_up(space, jobs, json)
    if what == "shapes":
        return _show_shapes(space, _require_target(target))
    kernels = {what: _read_kernel(root, what, kernel, trial)}
    kernels |= {other: _read_kernel(root, other, None, None) for other in also}
    if record and (kernel is not None or trial is not None or op):
        raise UsageError("--record is for champions, with all their ops", where="integrate")
    report = _measure(space, kernels, query_class, op, all_classes)
    _print_report(report, json)
    if record:
        _say(f"recorded in {write_record(root, space, kernels, report).relative_to(root)}")
    return _find_exit_code(report)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _require_target(target: str | None) -> str:
    from lance_autoresearch.errors import UsageError

    if target is None:
        raise UsageError("of which target?", next="./lar integrate shapes TARGET")
    return target


def _set_up(space: Workspace, jobs: int | None, json: bool) -> int:
    from lance_autoresearch.integrate.setup import set_up

    state = set_up(space, _say, jobs=jobs)
    body = {"v": 1, "version": space.version, "program": state.program,
            "datasets": {name: one.digest for name, one in state.datasets.items()}}  # fmt: skip
    if json:
        print(jsonlib.dumps(body))
    else:
        print(f"Lance {space.version} is ready: program {state.program[:12]}, datasets "
              f"{', '.join(sorted(state.datasets))}")  # fmt: skip
    return 0


def _show_shapes(space: Workspace, target: str) -> int:
    from lance_autoresearch.integrate.shapes import compare_shapes

    print("\n".join(compare_shapes(space, target, _say)))
    return 0


def _read_kernel(root: Path, target: str, kernel: Path | None, trial: int | None) -> bytes:
    """The text of a file, of a trial, or the target's champion, admitted as for a trial."""
    from lance_autoresearch.judge.admission import admit
    from lance_autoresearch.targets.catalogue import find_target_dir

    find_target_dir(root, target)
    text = _find_text(root, target, kernel, trial)
    admit(text)
    return text


def _find_text(root: Path, target: str, kernel: Path | None, trial: int | None) -> bytes:
    from lance_autoresearch.errors import UsageError
    from lance_autoresearch.host.kernel_file import read_kernel
    from lance_autoresearch.ledger import Ledger
    from lance_autoresearch.targets.champion import read_champion

    if kernel is not None and trial is not None:
        raise UsageError("--kernel and --trial name two kernels", allowed=["one of them"])
    if kernel is not None:
        return read_kernel(kernel)
    if trial is not None:
        with Ledger.open(root) as ledger:
            return ledger.get_blob(ledger.get_trial(trial).record.kernel)
    champion = read_champion(root, target)
    if champion is None:
        raise UsageError("has no champion yet", where=target, next="lar integrate T --kernel FILE")
    return champion


def _measure(
    space: Workspace, kernels: dict[str, bytes], wanted: tuple[str, ...], ops: tuple[str, ...],
    every: bool,
) -> IntegrationReport:  # fmt: skip
    from lance_autoresearch.integrate.classes import load_classes, select_classes
    from lance_autoresearch.integrate.verdict import Question, integrate_kernel

    plans = [load_classes(space.root, target, space.program) for target in kernels]
    names = select_classes(plans, wanted, every)
    return integrate_kernel(Question(space, kernels, names, ops), _say)


def _print_report(report: IntegrationReport, json: bool) -> None:
    from lance_autoresearch.integrate.report import encode_report, print_report

    print(jsonlib.dumps(encode_report(report)) if json else "\n".join(print_report(report)))


def _find_exit_code(report: IntegrationReport) -> int:
    from lance_autoresearch.records import Effect

    seen = {one.effect.effect for one in report.classes}
    for code, effects in (
        (3, {Effect.FAILED}),
        (2, {Effect.DIFFERS}),
        (1, {Effect.SLOWER}),
        (4, {Effect.NOT_RESOLVED, Effect.NOT_REACHED, Effect.NOT_BELIEVED}),
    ):
        if seen & effects:
            return code
    return 0
