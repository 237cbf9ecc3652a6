"""The checks that a pull request meets upstream, run on patched copies of the published crates.

    for result in run_gates(plan, done, say):      fmt, clippy, rustdoc, MSRV, tests by tier, ...
        result.name, result.state, result.log

What this machine cannot run is `missing`, never passed. A result holds for one patch: a later call
with the same patch takes it from the folder, so a killed bundle goes on where it was.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

MSRV = "1.94.0"
"""The `rust-version` of Lance 14.0.2's crates."""
NEHALEM = "qemu-x86_64"
ARM = "aarch64-unknown-linux-gnu"
LIMIT_S = 3600.0


class GateState(StrEnum):
    """What came of a check."""

    PASSED = "passed"
    FAILED = "failed"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Gate:
    """One check."""

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    missing: str = ""
    """Why this machine cannot run it; empty: it can."""
    next: str = ""
    marked: str = ""
    """What it shows less than its name says."""


@dataclass(frozen=True, slots=True)
class GateResult:
    """What came of one check."""

    name: str
    state: GateState
    about: str
    next: str
    seconds: float = 0.0
    marked: str = ""


def plan_gates(crate: str, files: Sequence[str]) -> list[Gate]:
    """The checks of one patched crate; cargo runs in its folder.

    Args:
        files: Rust files that the patch adds or changes.
    """
    lib = ("cargo", "test", "--locked", "--lib")
    return [
        Gate(f"{crate} fmt", ("rustfmt", "--check", "--edition", "2024", *files)),
        Gate(f"{crate} clippy", ("cargo", "clippy", "--locked", "--lib", "--tests", "--",
                                 "-D", "warnings")),
        Gate(f"{crate} SAFETY on each block",
             ("cargo", "clippy", "--locked", "--lib", "--", "-D",
              "clippy::undocumented_unsafe_blocks", "-A", "clippy::all"),
             next="write // SAFETY: on each block that the log names"),
        Gate(f"{crate} rustdoc", ("cargo", "doc", "--locked", "--no-deps"),
             {"RUSTDOCFLAGS": "-D warnings"}),
        _plan_msrv(crate),
        Gate(f"{crate} tests, dev", lib),
        Gate(f"{crate} tests, release", (*lib, "--release")),
        _plan_nehalem(crate, lib),
        _plan_arm(crate),
    ]  # fmt: skip


def _plan_msrv(crate: str) -> Gate:
    name = f"{crate} minimum Rust {MSRV}"
    if any(one.startswith(f"{MSRV}-") for one in _list_rustup("toolchain", "list")):
        return Gate(name, ("cargo", f"+{MSRV}", "check", "--locked", "--lib"))
    return Gate(
        name, ("cargo", "clippy", "--locked", "--lib", "--", "-D", "clippy::incompatible_msrv",
               "-A", "clippy::all"),
        marked=f"by clippy::incompatible_msrv: Rust {MSRV} is not installed here",
    )  # fmt: skip


def _plan_nehalem(crate: str, lib: tuple[str, ...]) -> Gate:
    name = f"{crate} tests, x86-64-v2 under an emulated Nehalem"
    if shutil.which(NEHALEM) is None:
        return Gate(name, (), missing=f"{NEHALEM} is not installed", next="make nehalem YES=1")
    env = {"CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER": f"{NEHALEM} -cpu Nehalem",
           "RUSTFLAGS": "-C target-cpu=x86-64-v2"}  # fmt: skip
    argv = (*lib, "--release", "--target", "x86_64-unknown-linux-gnu")
    return Gate(name, argv, env)


def _plan_arm(crate: str) -> Gate:
    name = f"{crate} check for AArch64"
    if ARM not in _list_rustup("target", "list", "--installed"):
        return Gate(name, (), missing=f"Rust's library for {ARM} is not installed",
                    next=f"rustup target add {ARM}")
    return Gate(name, ("cargo", "check", "--locked", "--lib", "--tests", "--target", ARM),
                marked="compiled, not run")


def _list_rustup(*words: str) -> list[str]:
    try:
        done = subprocess.run(["rustup", *words], capture_output=True, text=True, check=False,
                              timeout=30)  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return []
    return done.stdout.split()


def run_gates(
    gates: Sequence[Gate], crate_dir: Path, logs: Path, target_dir: Path,
    done: Mapping[str, GateResult], say: Callable[[str], None],
) -> Iterator[GateResult]:  # fmt: skip
    """Run what is not done; each log lies in `logs` under the gate's name."""
    for gate in gates:
        if gate.name in done and done[gate.name].state is not GateState.MISSING:
            yield done[gate.name]
            continue
        if gate.missing:
            yield GateResult(gate.name, GateState.MISSING, gate.missing, gate.next)
            continue
        say(gate.name)
        yield _run_gate(gate, crate_dir, logs, target_dir)


def find_log(logs: Path, name: str) -> Path:
    """Where the log of a gate lies."""
    return logs / (name.replace(" ", "-").replace(",", "") + ".log")


def _run_gate(gate: Gate, crate_dir: Path, logs: Path, target_dir: Path) -> GateResult:
    env = {**os.environ, "CARGO_TARGET_DIR": str(target_dir), "CARGO_PROFILE_DEV_DEBUG": "0",
           "CARGO_TERM_COLOR": "never", **gate.env}  # fmt: skip
    begun = time.monotonic()
    try:
        ran = subprocess.run(gate.argv, cwd=crate_dir, env=env, stdout=subprocess.PIPE, text=True,
                             stderr=subprocess.STDOUT, check=False, timeout=LIMIT_S)  # fmt: skip
        code, text = ran.returncode, ran.stdout
    except (OSError, subprocess.TimeoutExpired) as error:
        code, text = 1, str(error)
    seconds = time.monotonic() - begun
    logs.mkdir(parents=True, exist_ok=True)
    log = find_log(logs, gate.name)
    shown = text.replace(str(crate_dir), "CRATE").replace(str(target_dir), "TARGET")
    home = str(Path.home())
    log.write_text(f"$ {' '.join(gate.argv)}\n{shown}".replace(home, "HOME"), encoding="utf-8")
    state = GateState.PASSED if code == 0 else GateState.FAILED
    about = gate.marked or f"{gate.argv[0]} ended with {code}"
    return GateResult(gate.name, state, about, gate.next or f"read logs/{log.name}", seconds,
                      gate.marked)  # fmt: skip
