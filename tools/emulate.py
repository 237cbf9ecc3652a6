#!/usr/bin/env python3
"""Champions on processors that this machine is not: right bits and no trap, never a time.

    python tools/emulate.py aarch64            Lance's code and the champions, compiled for AArch64,
                                               on every case of every target under qemu-aarch64
    python tools/emulate.py nehalem [TARGET ...]    the same for x86-64-v2, where there is no AVX
    ... --yes                install the Debian packages that are missing without asking
    ... --record             write what came out to records/emulated/MACHINE.toml
    ... --kernel FILE        run this kernel in place of the champion (one TARGET); record nothing
    ... --verbose            name every case

For each target: Lance's own code is compiled for the machine and answers every case of a public
seed there, since its order of additions can differ between architectures. The champion must answer
alike, by the target's own rules of equality, on each emulated processor, once with no CPU feature
to ask for and once with all that it has. Then every cheat that is stopped by comparing outputs
alone must be found, or the run shows nothing. For AArch64, conductor and worker are compiled too.

"Equal" under an emulator means that the bits are right. A difference means: look, since emulators
have faults of their own. Exit code: 0 all equal; 2 a champion is not, or a cheat was not found;
1 packages are missing; 64 a wrong option.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from cross import (
    MACHINES,
    CrossBuild,
    Machine,
    find_missing,
    find_obstacle,
    list_install_commands,
)
from emulated_records import Entry, digest_cases, save_entry

from lance_autoresearch import oracle
from lance_autoresearch.bench.pools import make_pools
from lance_autoresearch.build.builder import compose_first_kernel
from lance_autoresearch.build.kit import compile_maker
from lance_autoresearch.calibration.public_inputs import SEED
from lance_autoresearch.errors import BuildFault, LarError, RejectedKernel, UsageError
from lance_autoresearch.host.checkout import ensure_lar_dir
from lance_autoresearch.host.kernel_file import read_kernel
from lance_autoresearch.host.sandbox import ResourceLimits, run_sandboxed
from lance_autoresearch.judge.job import hash_text
from lance_autoresearch.rules.policy import MeasuringLimits
from lance_autoresearch.targets import catalogue
from lance_autoresearch.targets.champion import read_champion
from lance_autoresearch.targets.cheats import load_cheats
from lance_autoresearch.targets.spec import Maker, Target

ROOT = Path(__file__).resolve().parent.parent
SEEN_IN_OUTPUTS = set("EFGKNT")
"""Letters of the defences (SECURITY.md) that look at nothing but outputs."""
FEATURES = ("0", "all")
"""Features words of a run: no feature may be asked for, or all that the processor has."""
RUN = ResourceLimits(seconds=3600, memory_bytes=32 << 30, file_bytes=1 << 30, output_bytes=16 << 20)
"""Bounds of one run of the driver. An emulator needs address space, not memory."""


@dataclass(frozen=True, slots=True)
class CaseResult:
    """What became of one case (outcomes: rust/plain/src/outcome.rs)."""

    combo: str
    outcome: str
    calls: int
    detail: str


class Emulation:
    """One target on one machine: pools of a public seed, Lance's answers on each processor."""

    def __init__(self, build: CrossBuild, target: Target, folder: Path) -> None:
        """Compiles Lance's code and the driver, and makes the pools.

        Raises:
            BuildFault: a trusted part does not compile.
        """
        self.build, self.target, self.folder = build, target, folder
        root = build.root
        self._driver = build.build_driver()
        self._oracle = build.build_kernel(target.name, compose_first_kernel(root, target.name))
        maker = _find_maker(root, target)
        checks = make_pools(target, target.checks, folder / "checks", SEED + 1, maker, public=True)
        timed = make_pools(target, target.timed, folder / "timed", SEED, maker, public=True)
        self._pools = [*checks, *timed]
        self._answered: set[str] = set()

    def check(
        self, library: Path, cpu: str, features: str, *, first: bool = False
    ) -> list[CaseResult]:
        """A kernel's outputs against Lance's, on one emulated processor.

        Args:
            first: nothing behind the first case that is not equal.
        """
        if cpu not in self._answered:
            self._answer(cpu)
        with tempfile.TemporaryDirectory(dir=self.folder) as box:
            return self._play("check", library, cpu, features, Path(box), first=first)

    def _answer(self, cpu: str) -> None:
        """Lance's own outputs. Raises BuildFault where Lance's code fails."""
        folder = self.folder / cpu
        folder.mkdir()
        for result in self._play("expect", self._oracle, cpu, "all", folder):
            if result.outcome != "written":
                raise BuildFault(
                    f"Lance's own code fails under emulation: {result.outcome} {result.detail}",
                    where=f"{self.target.name} {result.combo} on {cpu}",
                )
        self._answered.add(cpu)

    def _play(
        self, mode: str, library: Path, cpu: str, features: str, workdir: Path, *,
        first: bool = False,
    ) -> list[CaseResult]:  # fmt: skip
        expected = self.folder / cpu
        cases = "".join(
            f"{pool.path}\t{expected / f'{i}.expected'}\n" for i, pool in enumerate(self._pools)
        )
        emulator, *options = self.build.machine.emulator
        limits = json.dumps(asdict(MeasuringLimits()))
        argv = [emulator, "-cpu", cpu, *options, str(self._driver), mode, str(library),
                "--limits", limits, "--features", features]  # fmt: skip
        argv += ["--first"] if first else []
        readable = [self._driver, library, self.folder / "checks", self.folder / "timed"]
        if mode == "check":
            readable.append(expected)
        done = run_sandboxed(
            argv, workdir=workdir, readable=readable, limits=RUN, stdin=cases.encode()
        )
        results = [CaseResult(**json.loads(line)) for line in done.stdout.splitlines()]
        stopped = first and results and results[-1].outcome != "equal"
        if done.code or (len(results) != len(self._pools) and not stopped):
            text = done.stderr.decode(errors="replace").strip()[-500:]
            raise BuildFault(
                f"the driver ended with status {done.code} after {len(results)} of "
                f"{len(self._pools)} cases: {text}",
                where=f"{self.target.name} on {cpu}",
            )
        return results


def _find_maker(root: Path, target: Target) -> Maker | None:
    if not (root / "targets" / target.name / "maker.rs").is_file():
        return None
    program = compile_maker(root, target.name)
    return lambda request: subprocess.run(
        [program], input=request, stdout=subprocess.PIPE, check=True
    ).stdout


def list_processors(machine: Machine) -> Iterator[tuple[str, str]]:
    """(processor, features word) of every run."""
    for cpu in machine.cpus:
        for features in FEATURES:
            yield cpu, features


def describe_features(features: str) -> str:
    return "with all its features" if features == "all" else "with no feature to ask for"


def run_kernel(
    emulation: Emulation, text: bytes, *, verbose: bool
) -> tuple[int, list[str]]:
    """A kernel on every processor: the number of cases, and those that are not equal on one.

    Raises:
        RejectedKernel: it does not compile for the machine.
    """
    machine, target = emulation.build.machine, emulation.target.name
    library = emulation.build.build_kernel(target, text)
    cases, wrong = 0, dict[int, str]()
    for cpu, features in list_processors(machine):
        mine = emulation.check(library, cpu, features)
        bad = [result for result in mine if result.outcome != "equal"]
        print(f"  {cpu} {describe_features(features)}: {len(mine) - len(bad)} of {len(mine)} "
              f"cases equal, {sum(r.calls for r in mine)} calls", flush=True)  # fmt: skip
        for result in mine if verbose else bad:
            print(f"    {result.outcome}  {result.combo}  {result.detail}".rstrip(), flush=True)
        cases = len(mine)
        wrong |= {i: result.combo for i, result in enumerate(mine) if result in bad}
    return cases, [wrong[i] for i in sorted(wrong)]


@dataclass(frozen=True, slots=True)
class CheatRun:
    """What became of the cheats that only their outputs give away."""

    played: int
    unseen: tuple[str, ...]
    """Those whose outputs were all equal: the run shows nothing."""
    uncompiled: tuple[str, ...]
    """Those that do not compile for the machine."""


def try_cheats(emulation: Emulation) -> CheatRun:
    """Every such cheat of the target, on the first processor with all its features."""
    root, name = emulation.build.root, emulation.target.name
    cpu, played = emulation.build.machine.cpus[0], 0
    unseen: list[str] = []
    uncompiled: list[str] = []
    for cheat in load_cheats(root, name):
        if not set(cheat.by) <= SEEN_IN_OUTPUTS:
            continue
        try:
            library = emulation.build.build_kernel(name, cheat.text)
        except RejectedKernel:
            uncompiled.append(cheat.id)
            continue
        played += 1
        results = emulation.check(library, cpu, "all", first=True)
        if all(result.outcome == "equal" for result in results):
            unseen.append(cheat.id)
    return CheatRun(played, tuple(unseen), tuple(uncompiled))


def describe_cheats(run: CheatRun) -> str:
    """One line."""
    line = f"{run.played - len(run.unseen)} of {run.played} wrong-output cheats found"
    for what, names in (("not found", run.unseen), ("do not compile here", run.uncompiled)):
        line += f"; {what}: {', '.join(names)}" if names else ""
    return line


def run_target(build: CrossBuild, name: str, options: argparse.Namespace) -> bool:
    """One target from its oracle to its record; whether everything is as it should be."""
    root, machine = build.root, build.machine
    target = catalogue.load_target(root, name)
    champion = read_champion(root, name) or compose_first_kernel(root, name)
    text = read_kernel(options.kernel) if options.kernel else champion
    print(f"{name} on {machine.shown}, compiled by rustc {build.tools.version}:", flush=True)
    with tempfile.TemporaryDirectory(prefix="emulated-", dir=ensure_lar_dir(root, "tmp")) as folder:
        emulation = Emulation(build, target, Path(folder))
        cases, wrong = run_kernel(emulation, text, verbose=options.verbose)
        if options.kernel:
            return not wrong
        found = try_cheats(emulation)
    print(f"  {describe_cheats(found)}", flush=True)
    if options.record and name in catalogue.list_targets(root):
        entry = Entry(
            target=name,
            date=datetime.date.today().isoformat(),
            toolchain=f"rustc {build.tools.version}",
            emulator=_ask_version(machine),
            cpus=machine.cpus,
            champion=hash_text(champion),
            inputs=digest_cases(root, target),
            cases=cases,
            equal=cases - len(wrong),
            wrong=tuple(wrong),
            cheats=found.played,
            cheats_found=found.played - len(found.unseen),
        )
        print(f"  recorded in {save_entry(root, machine.name, entry)}")
    return not wrong and not found.unseen


def _ask_version(machine: Machine) -> str:
    """`qemu-aarch64 7.2.22`"""
    done = subprocess.run(
        [machine.emulator[0], "--version"], capture_output=True, text=True, check=True
    )
    words = done.stdout.split()
    return f"{Path(machine.emulator[0]).name} {words[words.index('version') + 1]}"


def prepare_machine(machine: Machine, root: Path, *, agreed: bool) -> str:
    """Install what is missing where that was agreed to; why it is still missing, or nothing."""
    if obstacle := find_obstacle(machine, root):
        return obstacle
    missing = find_missing(machine)
    if not missing:
        return ""
    commands = list_install_commands(machine, missing)
    print(f"{machine.shown} under emulation needs Debian packages that are not installed here:")
    for command in commands:
        print("    " + " ".join(command))
    print("They take up to 1.1 GB of disk. The project's own rustc stays as it is.", flush=True)
    if not agreed and not _ask("Install them now? [y/N] "):
        return "not installed: run the lines above as root, or pass --yes (YES=1 to make)"
    sudo = [] if _is_root() else ["sudo"]
    if sudo and shutil.which("sudo") is None:
        return "not installed: run the lines above as root"
    for command in commands:
        if subprocess.run([*sudo, *command], stdout=subprocess.DEVNULL, check=False).returncode:
            return f"`{' '.join(command)}` failed"
    return ""


def _is_root() -> bool:
    return os.geteuid() == 0


def _ask(question: str) -> bool:
    if not sys.stdin.isatty():
        return False
    return input(question).strip().lower() in ("y", "yes")


def parse(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("machine", choices=sorted(MACHINES))
    parser.add_argument("targets", nargs="*", metavar="TARGET")
    parser.add_argument("--yes", action="store_true")
    parser.add_argument("--record", action="store_true")
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("--kernel", type=Path)
    return parser.parse_args(words)


def emulate(options: argparse.Namespace) -> int:
    """Everything that was asked for. Returns the exit code."""
    machine = MACHINES[options.machine]
    known = catalogue.list_targets(ROOT, hidden=True)
    if options.kernel and len(options.targets) != 1:
        raise UsageError("--kernel needs one target", allowed=known)
    for name in options.targets:
        catalogue.find_target_dir(ROOT, name)
    if reason := prepare_machine(machine, ROOT, agreed=options.yes):
        print(f"skipped {machine.shown}: {reason}")
        return 1
    oracle.fetch_upstream(ROOT)
    build = CrossBuild(ROOT, machine)
    good = [run_target(build, name, options) for name in options.targets or known]
    if machine.linker and not options.kernel:
        names = ", ".join(path.name for path in build.build_programs())
        print(f"{names}: compiled for {machine.triple}; no emulator can run them")
    return 0 if all(good) else 2


def main(words: Sequence[str] | None = None) -> int:
    """Returns the exit code."""
    options = parse(words)
    try:
        return emulate(options)
    except LarError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2 if isinstance(error, RejectedKernel) else error.exit_code


if __name__ == "__main__":
    sys.exit(main())
