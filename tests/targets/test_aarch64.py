"""The same sources type-check for AArch64, where many users sit, if its standard library is here.

    rustup target add aarch64-unknown-linux-gnu     makes these tests run
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from lance_autoresearch.build import builder
from lance_autoresearch.build import kit as kits
from lance_autoresearch.host.toolchain import Toolchain
from lance_autoresearch.oracle import ensure_extracts, fetch_upstream
from lance_autoresearch.targets import catalogue

ROOT = Path(__file__).resolve().parents[2]
TRIPLE = "aarch64-unknown-linux-gnu"


@pytest.fixture(scope="module")
def tools() -> Toolchain:
    found = Toolchain.probe(ROOT)
    library = Path(found.sysroot) / "lib" / "rustlib" / TRIPLE / "lib"
    if not library.is_dir():
        pytest.skip(f"no standard library for {TRIPLE}: rustup target add {TRIPLE}")
    return found


def run(*command: str | Path, cwd: Path = ROOT) -> None:
    done = subprocess.run([str(c) for c in command], cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]


def test_conductor_and_worker(tools: Toolchain) -> None:
    place = ROOT / ".lar" / "cache" / "rust-target"
    run(tools.cargo, "check", "--locked", "--quiet", "--target", TRIPLE, "--target-dir", place,
        cwd=ROOT / "rust")


@pytest.mark.parametrize("target", catalogue.list_targets(ROOT))
def test_prelude_kernels_and_contract(tools: Toolchain, target: str, tmp_path: Path) -> None:
    """Lance's kernel and ours: paths for AVX stand behind `cfg`, a portable one is left."""
    fetch_upstream(ROOT)
    home = ROOT / "targets" / target
    slices = ensure_extracts(ROOT, target) / "prelude"
    prelude = kits.expand_extracts((home / "prelude.rs").read_bytes(), slices)
    (tmp_path / "prelude.rs").write_bytes(prelude)
    (tmp_path / "kernels.rs").write_bytes(builder.compose_first_kernel(ROOT, target))
    known: list[str] = []

    def check(name: str, source: Path) -> None:
        out = tmp_path / f"lib{name}.rmeta"
        run(tools.rustc, "--edition=2024", "--crate-type=rlib", "--crate-name", name,
            "--emit=metadata", "--target", TRIPLE, "--cap-lints=allow", "-L", tmp_path,
            *known, "-o", out, source)

    check("lar_shim", ROOT / "rust" / "shim" / "lib.rs")
    known += ["--extern", f"lar_shim={tmp_path / 'liblar_shim.rmeta'}"]
    check("prelude", tmp_path / "prelude.rs")
    known += ["--extern", f"prelude={tmp_path / 'libprelude.rmeta'}"]
    ideas = sorted((ROOT / "records" / "ideas" / target).glob("*.rs"))
    assert len(ideas) >= 2
    for idea in ideas:
        check("kernels", idea)
    check("kernels", tmp_path / "kernels.rs")
    known += ["--extern", f"kernels={tmp_path / 'libkernels.rmeta'}"]
    check("contract", home / "contract.rs")
