"""The Rust compiler that builds everything.

    tools = Toolchain.probe(root)      # rustc >= 1.94, or an error that says what to install
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path

from lance_autoresearch.errors import MachineError
from lance_autoresearch.host.checkout import ensure_lar_dir
from lance_autoresearch.host.files import write_atomically

ANSWER_S = 20.0
"""rustc answers in 0.1 s; rustup's proxy may first unpack a toolchain."""
MIN_RUST = (1, 94)
"""Lance 14.0.2 declares rust-version 1.94.0."""


@dataclass(frozen=True, slots=True)
class Toolchain:
    """The Rust compiler that builds everything, resolved past rustup's proxy."""

    rustc: str
    """Absolute path of the compiler itself (not of rustup's proxy)."""
    cargo: str
    """Absolute path of cargo."""
    sysroot: str
    version: str
    """`1.95.0`"""
    verbose: str
    """All of `rustc -vV`; part of every build's key."""
    host: str
    """Target triple, e.g. `x86_64-unknown-linux-gnu`."""
    lld: str | None
    """The bundled rust-lld if rustc links with it by default, else None."""

    @property
    def digest(self) -> str:
        """Short digest of `rustc -vV`."""
        return hashlib.sha256(self.verbose.encode()).hexdigest()[:16]

    @classmethod
    def probe(cls, root: Path) -> Toolchain:
        """Find rustc and cargo as a shell in `root` would; remembered under `.lar/`.

        Raises:
            MachineError: missing or older than `MIN_RUST`.
        """
        found = shutil.which("rustc")
        if found is None:
            raise _make_missing_rust_error("rustc is not on PATH")
        key = _make_probe_key(found)
        memo = ensure_lar_dir(root, "cache") / "toolchain.json"
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
            known = json.loads(memo.read_text())
            if known["key"] == key and Path(known["tools"]["rustc"]).is_file():
                return cls(**known["tools"])
        tools = _probe_toolchain(found, root)
        write_atomically(memo, json.dumps({"key": key, "tools": asdict(tools)}, indent=1).encode())
        return tools


def _make_probe_key(rustc: str) -> str:
    """All that decides which compiler `rustc` on PATH runs."""
    real = Path(rustc).resolve()
    settings = Path(os.environ.get("RUSTUP_HOME") or Path.home() / ".rustup") / "settings.toml"
    parts = [str(real), os.environ.get("RUSTUP_TOOLCHAIN", "")]
    for path in (real, settings):
        with contextlib.suppress(OSError):
            stat = path.stat()
            parts.append(f"{stat.st_mtime_ns}:{stat.st_size}")
    return "|".join(parts)


def _probe_toolchain(rustc: str, root: Path) -> Toolchain:
    verbose = _ask_program(rustc, "-vV", cwd=root)
    sysroot = _ask_program(rustc, "--print", "sysroot", cwd=root).strip()
    fields = dict(re.findall(r"^(\w+): (.+)$", verbose, re.M))
    version = fields.get("release", "0.0")
    numbers = tuple(int(n) for n in re.findall(r"\d+", version)[:2])
    if numbers < MIN_RUST:
        raise _make_missing_rust_error(f"rustc {version} is too old")
    own = Path(sysroot, "bin", "rustc")
    cargo = Path(sysroot, "bin", "cargo")
    beside = shutil.which("cargo")
    if not cargo.is_file() and beside is None:
        raise _make_missing_rust_error("cargo is not on PATH")
    host = fields.get("host", "")
    lld = Path(sysroot, "lib", "rustlib", host, "bin", "rust-lld")
    linux = host.startswith("x86_64") and "linux" in host
    return Toolchain(
        rustc=str(own if own.is_file() else Path(rustc).resolve()),
        cargo=str(cargo if cargo.is_file() else beside),
        sysroot=sysroot,
        version=version,
        verbose=verbose,
        host=host,
        lld=str(lld) if linux and lld.is_file() else None,
    )


def _ask_program(*argv: str, cwd: Path) -> str:
    try:
        done = subprocess.run(
            argv, cwd=cwd, capture_output=True, text=True, check=False, timeout=ANSWER_S,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise _make_missing_rust_error(
            f"`rustc {' '.join(argv[1:])}` gave no answer in {ANSWER_S:g} s"
        ) from None
    except OSError as error:
        raise _make_missing_rust_error(f"rustc does not start: {error.strerror}") from error
    if done.returncode:
        raise _make_missing_rust_error(
            f"`rustc {' '.join(argv[1:])}` failed: {done.stderr.strip()[:300]}"
        )
    return done.stdout


def _make_missing_rust_error(what: str) -> MachineError:
    return MachineError(
        what,
        where="toolchain",
        allowed=[f"rustc and cargo {MIN_RUST[0]}.{MIN_RUST[1]} or newer"],
        next="install rustup and `rustup toolchain install stable` (Debian: apt install "
        "rustc-web cargo-web, where those are new enough)",
    )
