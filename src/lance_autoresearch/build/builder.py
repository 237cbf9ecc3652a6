"""Builds kernel libraries with plain rustc: one table of flags, trusted parts cached.

    built = build_kernel(root, "hamming", text)        # RejectedKernel if it does not compile
    built.so, built.obj, built.digest, built.seconds, built.cached
    relink_many(built, [3, 4, 5])                    # the same code at other addresses

    shim ──┐
    prelude┼─> kernels.rs (rlib + object, sandbox) ─> contract.rs ─> linker ─> library
  extract ─┘

Upstream's library is built the same way from `compose_first_kernel`, so both sides of a comparison
differ in the kernel's text and in nothing else. Every product lies under `.lar/cache/`, named by
the digest of its sources.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from lance_autoresearch.build.compiler import (
    AS_DATA,
    CancelledStep,
    FailedStep,
    build_loader_environment,
    check_step,
    describe_failed_step,
    extract_compiler_message,
)
from lance_autoresearch.build.flags import COMMON, select_rust_flags
from lance_autoresearch.build.kit import Kit, compile_kit, hash_parts, place_in_cache
from lance_autoresearch.build.link import (
    KEEPER,
    ORDERS,
    SHUFFLED,
    Layout,
    capture_link_command,
    hash_code,
    is_untouched,
    link_library,
)
from lance_autoresearch.errors import BuildFault, MachineError, RejectedKernel, UsageError
from lance_autoresearch.host.checkout import ensure_lar_dir
from lance_autoresearch.host.cpu_budget import CpuBudget
from lance_autoresearch.host.machine import list_cores
from lance_autoresearch.host.machine_faults import blame_machine
from lance_autoresearch.host.machine_lock import lock_machine
from lance_autoresearch.host.sandbox import ResourceLimits, SandboxResult, run_sandboxed
from lance_autoresearch.host.toolchain import Toolchain
from lance_autoresearch.oracle import ensure_extracts
from lance_autoresearch.rules.policy import BUILD_LIMITS

LIMITS = ResourceLimits(
    seconds=BUILD_LIMITS.wall_seconds,
    cpu_seconds=BUILD_LIMITS.trusted_seconds,
    memory_bytes=BUILD_LIMITS.memory_bytes,
    file_bytes=BUILD_LIMITS.file_bytes,
    output_bytes=1 << 20,
)
"""Bounds of one compiler run on a kernel; its CPU is bounded by the budget of the build."""



@dataclass(frozen=True, slots=True)
class Built:
    """One kernel library."""

    so: Path
    """The library; every library and layout has a path of the same length."""
    obj: Path
    """The kernel's own object, for the audit."""
    digest: str
    """sha256 of linked code and constants: two kernels with one digest are one program."""
    seconds: Mapping[str, float] = field(default_factory=dict)
    """Wall time per step; empty if cached."""
    cached: bool = False
    home: Path = Path()
    """Directory of all files that linking again needs."""
    flags: str = "screen"
    box: str = ""
    """Sandbox of the compiler: `bwrap`, `landlock` or `none`."""


def compose_first_kernel(root: Path, target: str) -> bytes:
    """Upstream's own items with the target's adapter: baseline, oracle and starting point."""
    path = ensure_extracts(root, target) / "kernel.rs"
    if not path.is_file():
        raise BuildFault(
            f"no [[kernel]] in targets/{target}/extracts.toml",
            where=target,
            next="lar upstream show",
        )
    return path.read_bytes()


def build_upstream(root: Path, target: str, *, flags: str = "screen") -> Built:
    """Lance's library. A failure is a defect of the target, not of a kernel."""
    try:
        return build_kernel(root, target, compose_first_kernel(root, target), flags=flags)
    except RejectedKernel as error:
        raise BuildFault(
            f"upstream's slice does not build: {error.what}",
            where=f"{target} {error.where}",
            next=f"lar upstream show {target}",
        ) from error


def build_kernel(
    root: Path, target: str, text: bytes, *, flags: str = "screen",
    contract: bytes | None = None, budget: CpuBudget | None = None,
) -> Built:
    """Compile a kernel's bytes and link them behind the target's contract.

    Args:
        root: the checkout.
        target: its name.
        text: kernels.rs; treated as hostile, compiled in the sandbox.
        flags: `screen` or `quote`.
        contract: another trusted contract in place of the target's.
        budget: CPU that it may use; None: as much as a kernel that was kept before.

    Raises:
        RejectedKernel: it does not compile, or does not offer the target's surface.
        BuildFault: a trusted part does not build.
        MachineError: the machine is to blame, not the text.
    """
    begun = time.perf_counter()
    parts = compile_kit(root, target, flags=flags)
    if contract is not None:
        parts = replace(parts, contract=contract, digest=hash_parts(parts.digest, contract))
    key = hash_parts(parts.digest, text)
    home = ensure_lar_dir(root, "cache", "kernels") / key
    if (home / "built.json").is_file():
        known = _load_built(home)
        if is_untouched(known.so, known.digest):
            return known
        shutil.rmtree(home, ignore_errors=True)
    seconds = {"kit": time.perf_counter() - begun}
    spent = budget or CpuBudget(BUILD_LIMITS.trusted_seconds)

    def make(build_dir: Path) -> None:
        with _blame_text_or_machine(root, target, parts):
            _make_kernel(build_dir, parts, text, seconds, spent)

    place_in_cache(root, "kernels", key, "built.json", make)
    return replace(_load_built(home), seconds=seconds, cached=False)


def _load_built(home: Path) -> Built:
    facts = json.loads((home / "built.json").read_text())
    os.utime(home)  # the cache is swept by age of use
    return Built(
        _name_layout_path(home, 0), home / "kernels.o", facts["digest"], {}, True, home,
        facts["flags"], facts["box"],
    )  # fmt: skip


def build_bare_object(
    root: Path, target: str, text: bytes, *, budget: CpuBudget | None = None
) -> Path:
    """The kernel's object with every `has` false: the remaining code runs on any processor.

    Raises:
        RejectedKernel: it does not compile.
        BuildFault: a trusted part does not build.
        MachineError: the machine is to blame, not the text.
    """
    parts = compile_kit(root, target, bare=True)
    spent = budget or CpuBudget(BUILD_LIMITS.trusted_seconds)

    def make(build_dir: Path) -> None:
        with _blame_text_or_machine(root, target, parts):
            _make_bare_object(build_dir, parts, text, spent)

    key = hash_parts(parts.digest, text)
    return place_in_cache(root, "bare", key, "kernels.o", make) / "kernels.o"


def _make_bare_object(build_dir: Path, parts: Kit, text: bytes, budget: CpuBudget) -> None:
    (build_dir / "kernels.rs").write_bytes(text)
    words = [*KERNEL_CRATE, "--emit=obj", "kernels.rs"]
    check_step(run_kernel_compiler(build_dir, parts, words, budget), "does not compile", budget)


def build_both(root: Path, target: str, text: bytes) -> tuple[Built, Path]:
    """`build_kernel`, and `build_bare_object` beside it on the other core; raises as they do.

    Both share one budget of CPU, and the first failure ends the other: nothing is paid twice.
    """
    budget = CpuBudget(BUILD_LIMITS.cpu_seconds)
    with ThreadPoolExecutor(1) as beside:
        bare = beside.submit(_cancel_others, budget, build_bare_object, root, target, text)
        try:
            built = _cancel_others(budget, build_kernel, root, target, text)
        except CancelledStep:
            bare.result()
            raise
        return built, bare.result()


_Product = TypeVar("_Product")


def _cancel_others(
    budget: CpuBudget, build: Callable[..., _Product], root: Path, target: str, text: bytes
) -> _Product:
    try:
        return build(root, target, text, budget=budget)
    except BaseException:
        budget.cancel()
        raise


@contextlib.contextmanager
def _blame_text_or_machine(root: Path, target: str, parts: Kit) -> Iterator[None]:
    """Decide who is to blame for a step that failed without a reason.

    Lance's own kernel goes through the same steps in the same place. If that fails as well, the
    machine is to blame.

    Raises:
        RejectedKernel: it succeeded.
        MachineError: it failed.
    """
    try:
        yield
    except FailedStep as failed:
        text, _ = extract_compiler_message(failed.done)
        with blame_machine("build"), tempfile.TemporaryDirectory(
            dir=ensure_lar_dir(root, "tmp"), ignore_cleanup_errors=True
        ) as place:
            budget = CpuBudget(BUILD_LIMITS.trusted_seconds)
            try:
                first = compose_first_kernel(root, target)
                _make_kernel(Path(place), parts, first, {}, budget)
            except (FailedStep, RejectedKernel) as control:
                raise MachineError(
                    f"the compiler fails here on Lance's own kernel too: {text}",
                    where="build",
                    next="./lar doctor; see that disk, memory and limits of this shell suffice",
                ) from control
        raise describe_failed_step(failed) from failed


KERNEL_CRATE = ("--crate-name=kernels", "--crate-type=rlib")


def run_kernel_compiler(
    build_dir: Path, parts: Kit, words: Sequence[str], budget: CpuBudget | None = None
) -> SandboxResult:
    """Run rustc in its sandbox, with the flags of the kit."""
    tools = parts.tools
    argv = [
        tools.rustc, *COMMON, AS_DATA, *select_rust_flags(tools.host, parts.flags),
        *parts.externs, *words,
    ]  # fmt: skip
    readable = [Path(tools.sysroot), *parts.folders]
    return run_sandboxed(
        argv,
        workdir=build_dir,
        readable=readable,
        env=build_loader_environment(tools),
        limits=LIMITS,
        budget=budget,
    )


def _make_kernel(
    build_dir: Path, parts: Kit, text: bytes, seconds: dict[str, float], budget: CpuBudget
) -> None:
    tools, readable = parts.tools, parts.folders
    (build_dir / "kernels.rs").write_bytes(text)
    (build_dir / "contract.rs").write_bytes(parts.contract)
    (build_dir / "cc").write_text(KEEPER)
    (build_dir / "cc").chmod(0o755)
    (build_dir / "layouts").mkdir()
    kernel = [*KERNEL_CRATE, "--emit=link,obj", "kernels.rs"]
    done = _time_step(
        seconds, "kernel", lambda: run_kernel_compiler(build_dir, parts, kernel, budget)
    )
    check_step(done, "does not compile", budget)
    contract = [
        "--extern", "kernels=libkernels.rlib", "--crate-name=contract",
        "--crate-type=cdylib", f"-Clinker={build_dir / 'cc'}", "contract.rs",
    ]  # fmt: skip
    done = _time_step(
        seconds, "contract", lambda: run_kernel_compiler(build_dir, parts, contract, budget)
    )
    check_step(done, "does not offer the target's surface", budget)
    command = capture_link_command(build_dir, tools)
    out = _name_layout_path(build_dir, 0)
    done = _time_step(
        seconds,
        "link",
        lambda: link_library(
            command, build_dir, out, tools=tools, readable=readable, budget=budget
        ),
    )
    check_step(done, "does not link", budget)
    for name in ("cc", "contract.rs"):
        (build_dir / name).unlink()
    facts = {
        "digest": hash_code(out),
        "flags": parts.flags,
        "box": done.box,
        "command": command,
        "readable": [str(p) for p in readable],
        "tools": {f: getattr(tools, f) for f in Toolchain.__dataclass_fields__},
    }
    (build_dir / "built.json").write_text(json.dumps(facts))


def _time_step(
    seconds: dict[str, float], step: str, work: Callable[[], SandboxResult]
) -> SandboxResult:
    begun = time.perf_counter()
    done = work()
    seconds[step] = time.perf_counter() - begun
    return done


def _name_layout_path(home: Path, seed: int, order: str = SHUFFLED) -> Path:
    """Names of equal length: a longer name moves every later buffer of a worker."""
    begin = "lib" if order == SHUFFLED else order[:3]
    return home / "layouts" / f"{begin}{seed & (2**64 - 1):016x}.so"


def relink_library(
    built: Built, seed: int, *, flags: str | None = None, order: str = SHUFFLED
) -> Path:
    """The same library with another layout: padding before the kernel, sections shuffled.

    Args:
        built: a library.
        seed: 1 to 2^64 - 1; the same seed gives the same bytes.
        flags: must be those it was built with (checked if given).
        order: of `link.ORDERS`.

    Returns:
        Path of the new library, as long as every other one's. Cached.
    """
    if flags not in (None, built.flags):
        raise UsageError(f"built with '{built.flags}'; build it with '{flags}' to relink so")
    if not 0 < seed < 2**64:
        raise UsageError(f"layout seed {seed}", allowed=["1 .. 2^64 - 1"])
    if order not in ORDERS:
        raise UsageError(f"no link order '{order}'", allowed=list(ORDERS))
    out = _name_layout_path(built.home, seed, order)
    if out.is_file():
        return out
    facts = json.loads((built.home / "built.json").read_text())
    layout = Layout(seed, 64 if built.flags == "screen" else 4, order)
    with (
        blame_machine("relinking"),
        tempfile.TemporaryDirectory(dir=out.parent, ignore_cleanup_errors=True) as box,
    ):
        fresh = Path(box) / out.name
        done = link_library(
            facts["command"], built.home, fresh, tools=Toolchain(**facts["tools"]),
            readable=[Path(p) for p in facts["readable"]], layout=layout,
        )  # fmt: skip
        if done.code:
            raise BuildFault(extract_compiler_message(done)[0], where=f"relink with layout {seed}")
        fresh.replace(out)
    return out


def relink_many(built: Built, seeds: Iterable[int]) -> list[Path]:
    """Many layouts at once, as many in parallel as there are cores."""
    wanted = list(seeds)
    with lock_machine("shared"), ThreadPoolExecutor(max_workers=len(list_cores())) as pool:
        return list(pool.map(lambda seed: relink_library(built, seed), wanted))
