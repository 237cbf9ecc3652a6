"""Kernel libraries and the Rust programs for another processor, and the emulator that runs them.

    machine = MACHINES["aarch64"]
    find_missing(machine)                    Debian packages that are not installed
    build = CrossBuild(root, machine)        raises MachineError without a compiler for it
    build.build_kernel("fsst", text)         a library, cached under .lar/cache/
    build.build_driver()                     rust/plain
    build.build_programs()                   conductor and worker, which no emulator can run

Flags are those of `build/flags.py` except for the processor that is named. Everything that was
made of a kernel runs in the sandbox of `host/sandbox.py`: compiler, linker and emulator.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from lance_autoresearch.build.builder import LIMITS
from lance_autoresearch.build.compiler import (
    build_loader_environment,
    extract_compiler_message,
    reject_failed_step,
)
from lance_autoresearch.build.flags import COMMON, select_rust_flags
from lance_autoresearch.build.kit import (
    expand_extracts,
    hash_parts,
    place_in_cache,
    select_crate_options,
)
from lance_autoresearch.errors import BuildFault, MachineError
from lance_autoresearch.host.checkout import ensure_lar_dir
from lance_autoresearch.host.files import write_atomically
from lance_autoresearch.host.sandbox import run_sandboxed
from lance_autoresearch.host.toolchain import Toolchain
from lance_autoresearch.oracle import ensure_extracts, load_manifest
from lance_autoresearch.oracle.linked_crates import FOLDER, read_crate_facts

CROSS_RUSTC, CROSS_CARGO = "/usr/bin/rustc", "/usr/bin/cargo"
"""Debian's compiler (rustc-web): its AArch64 standard library fits only it."""


@dataclass(frozen=True, slots=True)
class Machine:
    """A processor that an emulator stands for."""

    name: str
    shown: str
    """As pages name it."""
    triple: str
    emulator: tuple[str, ...]
    """Program and options, without the processor."""
    cpus: tuple[str, ...]
    """Values of the emulator's `-cpu`; the first has the least."""
    packages: tuple[str, ...]
    """Debian packages without which it cannot be done."""
    architecture: str = ""
    """Debian's foreign architecture that `packages` need."""
    flags: tuple[str, ...] = ()
    """rustc flags in place of those that name a processor."""
    linker: str = ""
    """Empty: the project's own toolchain links."""


MACHINES: Mapping[str, Machine] = {
    "aarch64": Machine(
        name="aarch64",
        shown="AArch64",
        triple="aarch64-unknown-linux-gnu",
        emulator=("/usr/bin/qemu-aarch64", "-L", "/usr/aarch64-linux-gnu"),
        cpus=("cortex-a53", "max"),
        packages=(
            "rustc-web", "cargo-web", "libstd-rust-web-dev:arm64", "gcc-aarch64-linux-gnu",
            "libc6-dev-arm64-cross", "qemu-user",
        ),
        architecture="arm64",
        linker="/usr/bin/aarch64-linux-gnu-gcc",
    ),
    "nehalem": Machine(
        name="nehalem",
        shown="x86-64-v2 (Nehalem, no AVX)",
        triple="x86_64-unknown-linux-gnu",
        emulator=("/usr/bin/qemu-x86_64",),
        cpus=("Nehalem",),
        packages=("qemu-user",),
        flags=("-Ctarget-cpu=x86-64-v2",),
    ),
}  # fmt: skip


def find_missing(machine: Machine) -> list[str]:
    """The Debian packages of a machine that are not installed here."""
    return [name for name in machine.packages if not _is_installed(name)]


def _is_installed(package: str) -> bool:
    query = ["dpkg-query", "-W", "-f", "${db:Status-Status}", package]
    try:
        done = subprocess.run(query, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return False
    return done.stdout.startswith("installed")


def list_install_commands(machine: Machine, missing: Sequence[str]) -> list[list[str]]:
    """What brings the missing packages, to be run as root."""
    foreign = machine.architecture and any(":" in name for name in missing)
    add = [["dpkg", "--add-architecture", machine.architecture]] if foreign else []
    install = ["apt-get", "install", "--yes", "--no-install-recommends", *missing]
    return [*add, ["apt-get", "update"], install]


def find_obstacle(machine: Machine, root: Path) -> str:
    """Why this machine cannot be emulated here, or an empty string."""
    own = Toolchain.probe(root).host
    if not machine.linker and own.split("-")[0] != machine.triple.split("-")[0]:
        return f"this host is {own}, and {machine.shown} is built with its own compiler"
    if not find_missing(machine):
        return ""
    if shutil.which("apt-get") is None or shutil.which("dpkg") is None:
        return "there is no apt-get here: the packages are Debian's"
    if machine.linker and _would_hide(shutil.which("rustc")):
        return f"{CROSS_RUSTC} would come before this project's own rustc on PATH"
    return ""


def _would_hide(rustc: str | None) -> bool:
    """Whether a new CROSS_RUSTC would be found on PATH before `rustc`."""
    folders = [Path(folder) for folder in os.environ.get("PATH", "").split(os.pathsep)]
    new = Path(CROSS_RUSTC).parent
    if rustc is None or new not in folders or Path(rustc).parent not in folders:
        return False
    return folders.index(new) < folders.index(Path(rustc).parent)


def _probe_cross(root: Path) -> Toolchain:
    """Debian's compiler as a toolchain.

    Raises:
        MachineError: it does not run.
    """
    def ask(*words: str) -> str:
        try:
            done = subprocess.run(
                [CROSS_RUSTC, *words], cwd=root, capture_output=True, text=True, check=False
            )
        except OSError as error:
            raise MachineError(f"{CROSS_RUSTC} does not run: {error}", where="toolchain") from error
        return done.stdout

    verbose = ask("-vV")
    version = re.search(r"^release: (.+)$", verbose, re.M)
    host = re.search(r"^host: (.+)$", verbose, re.M)
    if version is None or host is None:
        raise MachineError(f"{CROSS_RUSTC} -vV names no release", where="toolchain")
    sysroot = ask("--print", "sysroot").strip()
    return Toolchain(CROSS_RUSTC, CROSS_CARGO, sysroot, version[1], verbose, host[1], None)


class CrossBuild:
    """Builds of one checkout for one machine."""

    def __init__(self, root: Path, machine: Machine) -> None:
        """Raises MachineError where there is no compiler for it."""
        self.root, self.machine = root, machine
        self.tools = _probe_cross(root) if machine.linker else Toolchain.probe(root)

    @cached_property
    def _options(self) -> list[str]:
        """rustc options of every crate."""
        named = ("-Ctarget-cpu", "-Ctarget-feature")
        flags = select_rust_flags(self.machine.triple, "quote")
        own = [flag for flag in flags if not flag.startswith(named)]
        link = [f"-Clinker={self.machine.linker}"] if self.machine.linker else []
        if self.tools.lld:  # rustc's wrapper of lld needs /proc, which the sandbox does not have
            link.append("-Clinker-features=-lld")
        return [*COMMON, *own, *self.machine.flags, f"--target={self.machine.triple}", *link]

    def build_kernel(self, target: str, text: bytes) -> Path:
        """A kernel's library behind the target's contract.

        Raises:
            RejectedKernel: the kernel does not compile for this machine.
            BuildFault: a trusted part does not.
        """
        home = self.root / "targets" / target
        shim = self._compile("lar_shim", self._shim_files, {}, "rlib", entry="shim/lib.rs")
        slices = ensure_extracts(self.root, target) / "prelude"
        prelude_text = expand_extracts((home / "prelude.rs").read_bytes(), slices)
        trusted = {"lar_shim": shim, **self._build_crates(target)}
        prelude = self._compile("prelude", {"prelude.rs": prelude_text}, trusted, "rlib")
        trusted["prelude"] = prelude
        kernels = self._compile("kernels", {"kernels.rs": text}, trusted, "rlib")
        contract = {"contract.rs": (home / "contract.rs").read_bytes()}
        return self._compile("contract", contract, {**trusted, "kernels": kernels}, "cdylib")

    def _build_crates(self, target: str) -> dict[str, Path]:
        """Name in Rust -> product of each crate that the target links, in their order."""
        built: dict[str, Path] = {}
        base = ensure_extracts(self.root, target) / FOLDER
        for crate in load_manifest(self.root).get_target(target).crates:
            place = base / crate.name
            facts = read_crate_facts(place)
            files = {p.relative_to(place).as_posix(): p.read_bytes() for p in place.rglob("*.rs")}
            options = select_crate_options(self._options, facts.edition, crate.features)
            name = crate.rust_name
            built[name] = self._compile(name, files, built, "rlib", facts.entry, options)
        return built

    @cached_property
    def _shim_files(self) -> dict[str, bytes]:
        base = self.root / "rust"
        folders = (base / "shim", base / "abi" / "src")
        return {
            str(path.relative_to(base)): path.read_bytes()
            for folder in folders for path in sorted(folder.glob("*.rs"))
        }  # fmt: skip

    def _compile(
        self, name: str, files: Mapping[str, bytes], crates: Mapping[str, Path], kind: str,
        entry: str = "", options: Sequence[str] = (),
    ) -> Path:  # fmt: skip
        """One crate in the sandbox, compiled once; its product."""
        options = options or self._options
        product = f"lib{name}.{'rlib' if kind == 'rlib' else 'so'}"
        listed = [part for item in sorted(files.items()) for part in item]
        used = [part for item in sorted(crates.items()) for part in map(str, item)]
        key = hash_parts(self.tools.verbose, " ".join([*options, kind]), *used, *listed)

        def make(folder: Path) -> None:
            for path, data in files.items():
                write_atomically(folder / path, data)
            externs = [part for crate, path in crates.items()
                       for part in ("--extern", f"{crate}={path}", "-L", path.parent)]  # fmt: skip
            argv = [self.tools.rustc, *options, "--crate-name", name, "--crate-type", kind,
                    *map(str, externs), entry or f"{name}.rs"]  # fmt: skip
            readable = [Path(self.tools.sysroot), *(path.parent for path in crates.values())]
            env = build_loader_environment(self.tools)
            done = run_sandboxed(argv, workdir=folder, readable=readable, env=env, limits=LIMITS)
            if name in ("kernels", "contract"):
                reject_failed_step(done, f"does not compile for {self.machine.shown}")
            elif done.code:
                where = f"{name} for {self.machine.name}"
                raise BuildFault(extract_compiler_message(done)[0], where=where)

        shelf = f"{self.machine.name}-{name}"
        return place_in_cache(self.root, shelf, key, product, make) / product

    def build_driver(self) -> Path:
        """rust/plain. Raises BuildFault where it does not compile."""
        return self._cargo("lar-plain")[0]

    def build_programs(self) -> list[Path]:
        """Conductor and worker. Raises BuildFault where they do not compile."""
        return self._cargo("lar-conductor", "lar-worker")

    def _cargo(self, *packages: str) -> list[Path]:
        triple = self.machine.triple
        folder = ensure_lar_dir(self.root, "cache") / f"{self.machine.name}-rust"
        flags = " ".join(self.machine.flags)
        env = {**os.environ, "RUSTC": self.tools.rustc, "RUSTFLAGS": flags}
        if self.machine.linker:
            variable = f"CARGO_TARGET_{triple.upper().replace('-', '_')}_LINKER"
            env[variable] = self.machine.linker
        words = [self.tools.cargo, "build", "--release", "--locked", "--quiet", "--target", triple,
                 "--target-dir", str(folder)]  # fmt: skip
        words += [word for package in packages for word in ("--package", package)]
        done = subprocess.run(
            words, cwd=self.root / "rust", env=env, capture_output=True, text=True, check=False
        )
        if done.returncode:
            where = f"{', '.join(packages)} for {triple}"
            raise BuildFault(done.stderr.strip()[-2000:], where=where)
        return [folder / triple / "release" / package for package in packages]
