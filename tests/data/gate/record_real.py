"""Takes the real recorded cases of this folder: `python tests/data/gate/record_real.py`.

Pairs of the target pq-l2 on this machine, ten rounds each to keep the files small, in eight
situations; under a minute, on a machine that is otherwise idle. What came out is written down as
what must come out again, to the bit: these files hold the gate still, they prove nothing about
it. The situations are made, the times are measured.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1]))

from gate_cases import gate_fields  # noqa: E402

from lance_autoresearch.bench.bench import Bench  # noqa: E402
from lance_autoresearch.bench.meter import Sides, gather_pairs  # noqa: E402
from lance_autoresearch.bench.noise import measure_noise  # noqa: E402
from lance_autoresearch.calibration.dosing import Dose, find_dose  # noqa: E402
from lance_autoresearch.ledger.pairs_json import GateCase, encode_case  # noqa: E402
from lance_autoresearch.records import Outcome, PairTimes  # noqa: E402
from lance_autoresearch.rules.gate import replay_gate, run_gate  # noqa: E402
from lance_autoresearch.rules.policy import DEFAULT  # noqa: E402

ROOT = HERE.parents[2]
ROUNDS = 10
WHAT = ("outcome", "reason", "claim", "e", "pairs", "void", "gain")
Around = Callable[[Bench, int], object]
"""(bench, number of the pair) -> a context in which the pair runs."""


def calm(bench: Bench, number: int) -> object:
    """Nothing happens."""
    return nullcontext()


@contextmanager
def busy(bench: Bench, share: float) -> Iterator[None]:
    """Another process takes about this share of the workers' core."""
    program = (
        f"import os, time\nos.sched_setaffinity(0, {{{bench.cores[0]}}})\n"
        f"while True:\n    end = time.monotonic() + 0.01 * {share}\n"
        f"    while time.monotonic() < end: pass\n    time.sleep(0.01 * (1 - {share}))\n"
    )
    other = subprocess.Popen([sys.executable, "-c", program])
    time.sleep(0.1)
    try:
        yield
    finally:
        other.kill()
        other.wait()


@contextmanager
def stopped(pids: Callable[[], list[int]], after: float, long: float) -> Iterator[None]:
    """Processes are stopped for some time, as `kill -STOP` does."""

    def work() -> None:
        time.sleep(after)
        found = pids()
        for word in (signal.SIGSTOP, signal.SIGCONT):
            for pid in found:
                try:
                    os.kill(pid, word)
                except ProcessLookupError:
                    continue
            time.sleep(long if word is signal.SIGSTOP else 0)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        thread.join()


def below(pid: int) -> list[int]:
    """Every process that descends from one."""
    out = []
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        out += [int(child), *below(int(child))]
    return out


def one_worker(bench: Bench) -> list[int]:
    """The youngest process of the conductor: one side's worker."""
    return below(bench.conductor.pid or 0)[-1:]


def in_pairs(*which: int, make: Callable[[Bench], object]) -> Around:
    """Something happens in these pairs only, counted from 0."""
    return lambda bench, number: make(bench) if number in which else nullcontext()


SITUATIONS: dict[str, tuple[str, float, Around]] = {
    "null": ("the same kernel on both sides", 0.0, calm),
    "win": ("3 % faster", 0.03, calm),
    "slower": ("3 % slower", -0.03, calm),
    "disturbed-win": (
        "3 % faster; in pairs 1 and 4 another process takes a third of the workers' core",
        0.03, in_pairs(1, 4, make=lambda bench: busy(bench, 0.33)),
    ),
    "disturbed-null": (
        "the same kernel; a process takes a fifth of the workers' core from pair 3 on: drift",
        0.0, in_pairs(*range(3, 24), make=lambda bench: busy(bench, 0.2)),
    ),
    "busy-core": (
        "3 % faster; another process never leaves the workers' core",
        0.03, in_pairs(*range(24), make=lambda bench: busy(bench, 1.0)),
    ),
    "stopped-worker": (
        "the same kernel; one side's process was stopped for 0.2 s in pair 2",
        0.0, in_pairs(2, make=lambda bench: stopped(lambda: one_worker(bench), 0.04, 0.2)),
    ),
    "suspended": (
        "3 % faster; in pair 2 the measuring program and both sides were stopped for 1.5 s",
        0.03, in_pairs(2, make=lambda bench: stopped(lambda: everything(bench), 0.04, 1.5)),
    ),
}  # fmt: skip


def everything(bench: Bench) -> list[int]:
    """The conductor and all that it started."""
    pid = bench.conductor.pid or 0
    return [pid, *below(pid)]


def taken(
    bench: Bench, dose: Dose, floor: Sequence[float], about: str, gain: float, around: Around
) -> GateCase:
    """Pairs until the gate stops, as a case that says what came out."""
    slow, plain = dict.fromkeys(dose.rows, abs(gain)), dict[str, float]()
    texts = (plain, slow) if gain < 0 else (slow, plain)
    sides = Sides(*(bench.build(dose.render_kernel(shares)).so for shares in texts))
    meter = bench.make_meter([sides], bench.inputs.epoch.timed, DEFAULT, rounds=ROUNDS)
    pairs: list[PairTimes] = []
    while True:
        with around(bench, len(pairs)):  # type: ignore[attr-defined]
            pairs.append(meter.measure_pair())
        built = gather_pairs(meter, pairs, floor)
        if run_gate(built, DEFAULT).outcome is not Outcome.CONTINUE:
            break
    fields = gate_fields(replay_gate(built, DEFAULT))
    return GateCase(built, about=about, expect={k: fields[k] for k in WHAT})


def main() -> None:
    """Write every case, or those that are named."""
    with Bench(ROOT, "pq-l2") as bench:
        first = bench.first_kernel
        dose = find_dose(bench, first, 0.03, DEFAULT, pairs=6)
        floor = measure_noise(bench, bench.build(first), first, DEFAULT).aa_sd
        for name, (about, gain, around) in SITUATIONS.items():
            if len(sys.argv) > 1 and name not in sys.argv[1:]:
                continue
            case = taken(bench, dose, floor, about, gain, around)
            (HERE / f"real-{name}.json").write_text(encode_case(case), encoding="utf-8")
            voids = [p.void for p in case.comparison.pairs if p.void]
            print(name, {k: case.expect[k] for k in WHAT}, voids, flush=True)


if __name__ == "__main__":
    main()
