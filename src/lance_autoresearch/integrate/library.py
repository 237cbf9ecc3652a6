"""A kernel as a library that a patched Lance loads.

    path = build_library(root, "hamming", text)             a candidate
    path = build_library(root, "hamming", first, control=True)    Lance's own code by the same route

The kernel is compiled as for a trial, in the sandbox, with the flags that figures are quoted with
(no aligned loops: Lance has none). Instead of the contract stands the target's glue.rs, whose
functions have the signatures of the call sites. Program and library need one compiler, since the
calls between them have Rust's own convention.

Generic code of Lance is compiled where it is used, mostly in the crate `lance`, whose several
codegen units go through another pipeline of LLVM than one unit does (thin-local LTO): the loop of
`accumulate_distances_into_heap` is 12 % of a query slower from one unit. So a control is compiled
with the units of the crate that its call site is compiled in.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

from lance_autoresearch.build.builder import compose_first_kernel
from lance_autoresearch.build.compiler import build_loader_environment, reject_failed_step
from lance_autoresearch.build.flags import COMMON, select_rust_flags
from lance_autoresearch.build.kit import Kit, compile_kit, hash_parts, place_in_cache
from lance_autoresearch.errors import BuildFault, RejectedKernel, UpstreamError, UsageError
from lance_autoresearch.host.sandbox import ResourceLimits, SandboxResult, run_sandboxed
from lance_autoresearch.integrate.patches import MANIFEST
from lance_autoresearch.integrate.workspace import FULL
from lance_autoresearch.rules.policy import BUILD_LIMITS

NAME = "library.so"
_LIMITS = ResourceLimits(
    seconds=BUILD_LIMITS.wall_seconds, memory_bytes=BUILD_LIMITS.memory_bytes
)


def build_library(root: Path, target: str, text: bytes, *, control: bool = False) -> Path:
    """Compile a kernel behind its target's glue; cached by its sources.

    Args:
        text: kernels.rs, treated as hostile.
        control: it is Lance's own code, and the glue may take its control functions.

    Raises:
        UsageError: the target has no integration.
        RejectedKernel: the kernel does not compile or lacks a function.
        BuildFault: glue or kit do not compile.
    """
    glue = _compose_glue(root, target)
    kit = compile_kit(root, target, flags="quote")
    units = read_control_units(root, target) if control else 1
    key = hash_parts(kit.digest, text, glue, str(control), str(units))

    def make(build_dir: Path) -> None:
        (build_dir / "kernels.rs").write_bytes(text)
        (build_dir / "glue.rs").write_bytes(glue)
        words = ["--crate-name=kernels", "--crate-type=rlib", f"-Ccodegen-units={units}"]
        done = _compile(build_dir, kit, [*words, "kernels.rs"])
        reject_failed_step(done, "does not compile")
        words = ["--extern", "kernels=libkernels.rlib", "--crate-name=glue",
                 "--crate-type=cdylib", "-o", NAME]  # fmt: skip
        words += ["--cfg=lar_control"] if control else []
        words += ["-Clinker-features=-lld"] if kit.tools.lld else []
        reject_failed_step(
            _compile(build_dir, kit, [*words, "glue.rs"]), "does not fit the call site"
        )

    return place_in_cache(root, "integrated", key, NAME, make) / NAME


def build_control(root: Path, target: str) -> Path:
    """Lance's own code as such a library. A failure is a defect of the target."""
    extra = root / "targets" / target / "integration" / "control.rs"
    text = compose_first_kernel(root, target)
    if extra.is_file():
        text += extra.read_bytes()
    try:
        return build_library(root, target, text, control=True)
    except RejectedKernel as error:
        raise BuildFault(f"Lance's own code does not build: {error.what}", where=target) from error


def read_control_units(root: Path, target: str) -> int:
    """Codegen units of the crate of Lance that a target's call sites are compiled in.

    `compiled_in` of patch.toml names a crate with a profile of its own in the full program's
    Cargo.toml; without it they are in one of those that the profile of all crates holds for.

    Raises:
        UpstreamError: that crate has no such profile.
    """
    hook = tomllib.loads((root / "targets" / target / MANIFEST).read_text())
    manifest = root / "integrate" / FULL / "Cargo.toml"
    profile = tomllib.loads(manifest.read_text())["profile"]["release"]
    crate = hook.get("compiled_in")
    if crate is None:
        return int(profile["codegen-units"])
    own = profile["package"].get(crate, {}).get("codegen-units")
    if own is None:
        raise UpstreamError(
            f"compiled_in = '{crate}' has no codegen units of its own in integrate/{FULL}",
            where=f"targets/{target}/{MANIFEST}",
            allowed=[name for name, one in profile["package"].items() if "codegen-units" in one],
        )  # fmt: skip
    return int(own)


def _compose_glue(root: Path, target: str) -> bytes:
    own = root / "targets" / target / "integration" / "glue.rs"
    if not own.is_file():
        have = sorted(p.parent.parent.name for p in root.glob("targets/*/integration/glue.rs"))
        raise UsageError(f"target '{target}' has no integration", allowed=have)
    return (root / "integrate" / "glue.rs").read_bytes() + own.read_bytes()


def _compile(build_dir: Path, kit: Kit, words: list[str]) -> SandboxResult:
    """Run rustc in its sandbox, with the kit's flags."""
    argv = [
        kit.tools.rustc, *COMMON, *select_rust_flags(kit.tools.host, kit.flags),
        *kit.externs, *words,
    ]  # fmt: skip
    return run_sandboxed(
        argv,
        workdir=build_dir,
        readable=[Path(kit.tools.sysroot), *kit.folders],
        env=build_loader_environment(kit.tools),
        limits=_LIMITS,
    )
