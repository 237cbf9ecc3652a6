"""The agent's reach: whatever it writes outside one file, and whatever it puts into the
environment, changes nothing of what is built and judged, or is refused in plain words.
"""

from __future__ import annotations

import os
import secrets
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lance_autoresearch.bench.conductor import PROGRAMS, Conductor, ensure_built
from lance_autoresearch.build import builder, link
from lance_autoresearch.build import kit as kits
from lance_autoresearch.build.provenance import measure_provenance
from lance_autoresearch.errors import MachineError, RejectedKernel
from lance_autoresearch.host import checkout, sandbox, toolchain
from lance_autoresearch.host.kernel_file import place_kernel, read_kernel
from lance_autoresearch.rules.policy import DEFAULT
from lance_autoresearch.targets import catalogue

ROOT = Path(__file__).resolve().parents[2]


def fresh_kernel() -> bytes:
    """The same program as ever in a text that no cache has seen."""
    return builder.compose_first_kernel(ROOT, "pq-l2") + f"// {secrets.token_hex(8)}\n".encode()


@pytest.fixture(scope="module")
def digest() -> str:
    """Of the linked code of that program, built in a clean environment."""
    return builder.build_kernel(ROOT, "pq-l2", fresh_kernel()).digest


STEERING = {
    "RUSTFLAGS": "-Copt-level=0",
    "CARGO_ENCODED_RUSTFLAGS": "-Copt-level=0",
    "CARGO_BUILD_RUSTFLAGS": "-Copt-level=0",
    "CARGO_BUILD_RUSTC": "/bin/false",
    "RUSTC_WRAPPER": "/bin/false",
    "RUSTC_BOOTSTRAP": "1",
    "CARGO_PROFILE_RELEASE_OPT_LEVEL": "0",
    "LIBRARY_PATH": "/tmp",
    "LD_LIBRARY_PATH": "/nowhere",
    "GCC_EXEC_PREFIX": "/nowhere",
    "COMPILER_PATH": "/nowhere",
}


def test_flags_in_the_environment_change_nothing(
    digest: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in STEERING.items():
        monkeypatch.setenv(name, value)
    assert builder.build_kernel(ROOT, "pq-l2", fresh_kernel()).digest == digest


def test_flags_do_not_reach_the_build_of_the_measuring_programs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from lance_autoresearch.bench.conductor import _clean_environment

    for name, value in STEERING.items():
        monkeypatch.setenv(name, value)
    left = {n for n, value in _clean_environment().items() if STEERING.get(n) == value}
    assert left <= {"LIBRARY_PATH", "GCC_EXEC_PREFIX", "COMPILER_PATH"}


def test_cargos_configuration_steers_no_build_of_the_measuring_programs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Below the person's home or in the checkout; two small programs stand for the real ones."""
    rust = tmp_path / "rust"
    (rust / "src" / "bin").mkdir(parents=True)
    for name in PROGRAMS:
        source = "#[cfg(any(steered, panic = \"unwind\"))] compile_error!(\"steered\");\n"
        source += "fn main() {}\n"
        (rust / "src" / "bin" / f"{name}.rs").write_text(source)
    package = 'name = "two"\nversion = "0.1.0"\n'
    (rust / "Cargo.toml").write_text(f'[package]\n{package}edition = "2024"\n')
    (rust / "Cargo.lock").write_text(f"version = 4\n\n[[package]]\n{package}")
    trap = tmp_path / "wrapper"
    trap.write_text(f"#!/bin/sh\ntouch {tmp_path}/trapped\nexec \"$@\" --cfg steered\n")
    trap.chmod(0o755)
    steering = (
        f"[build]\nrustc-wrapper = '{trap}'\nrustflags = ['--cfg', 'steered']\n"
        f"[profile.release]\nopt-level = 0\npanic = 'unwind'\n"
    )
    for place in (tmp_path / "home", tmp_path / ".cargo"):
        place.mkdir()
        (place / "config.toml").write_text(steering)
    monkeypatch.setenv("CARGO_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("CARGO_NET_OFFLINE", "true")
    made = ensure_built(tmp_path)
    assert not (tmp_path / "trapped").exists()
    assert subprocess.run([made / PROGRAMS[0]]).returncode == 0


@pytest.mark.parametrize("how", ["another's", "cut short", "gone"])
def test_a_cached_library_that_was_changed_is_built_again(how: str, digest: str) -> None:
    text = fresh_kernel()
    built = builder.build_kernel(ROOT, "pq-l2", text)
    whole = built.so.read_bytes()
    built.so.unlink()
    if how != "gone":
        other = builder.build_upstream(ROOT, "topk-merge").so.read_bytes()
        built.so.write_bytes(other if how == "another's" else whole[:2000])
    again = builder.build_kernel(ROOT, "pq-l2", text)
    assert not again.cached and again.digest == digest
    assert again.so.read_bytes() == whole


def test_a_preloaded_library_reaches_neither_conductor_nor_compiler(
    digest: str, tmp_path: Path
) -> None:
    """In a process of its own, since LD_PRELOAD acts at start."""
    source, lib = tmp_path / "spy.c", tmp_path / "spy.so"
    source.write_text(
        '#include <stdio.h>\n#include <stdlib.h>\n'
        '__attribute__((constructor)) static void here(void) {\n'
        '  FILE *f = fopen("SPY", "a"); char p[99] = {0};\n'
        '  FILE *c = fopen("/proc/self/comm", "r");\n'
        '  if (c) fgets(p, 98, c); if (f) { fputs(p, f); fclose(f); } }\n'
        .replace("SPY", str(tmp_path / "seen"))
    )
    subprocess.run(["cc", "-shared", "-fPIC", "-o", lib, source], check=True)
    script = (
        "from pathlib import Path\n"
        "from lance_autoresearch.build import builder\n"
        "from lance_autoresearch.bench.conductor import Conductor\n"
        f"root = Path({str(ROOT)!r})\n"
        f"print(builder.build_kernel(root, 'pq-l2', {fresh_kernel()!r}).digest)\n"
        "with Conductor(root): pass\n"
    )
    ensure_built(ROOT)
    env = {**os.environ, "LD_PRELOAD": str(lib)}
    done = subprocess.run([sys.executable, "-c", script], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[-1] == digest
    seen = (tmp_path / "seen").read_text()
    assert "python" in seen, "the spy itself must work"
    assert not {"rustc", "lar-conductor", "lar-worker", "bwrap", "cc"} & set(seen.split())


@pytest.fixture
def trojans(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A directory of false tools, first on PATH; each notes that it was run."""
    place = tmp_path / "bin"
    place.mkdir()
    for name in ("ld", "ld.lld", "rust-lld", "cc", "gcc", "as", "bwrap", "sh", "cp"):
        (place / name).write_text(f"#!/bin/sh\necho {name} >> {tmp_path}/run\nexit 0\n")
        (place / name).chmod(0o755)
    real = toolchain.Toolchain.probe(ROOT).rustc
    (place / "rustc").write_text(f'#!/bin/sh\nexec {real} "$@" -Copt-level=0\n')
    (place / "rustc").chmod(0o755)
    monkeypatch.setenv("PATH", f"{place}:{os.environ['PATH']}")
    sandbox.find_bubblewrap.cache_clear()
    yield tmp_path
    sandbox.find_bubblewrap.cache_clear()
    monkeypatch.undo()
    toolchain.Toolchain.probe(ROOT)


def test_tools_in_front_of_path_change_nothing(digest: str, trojans: Path) -> None:
    built = builder.build_kernel(ROOT, "pq-l2", fresh_kernel())
    assert built.digest == digest and built.box == "bwrap"
    assert sandbox.find_bubblewrap() == "/usr/bin/bwrap"
    with Conductor(ROOT) as conductor:
        assert conductor.opened is not None and conductor.opened.box == "bwrap"
    assert not (trojans / "run").exists(), (trojans / "run").read_text()


def test_the_linker_is_not_taken_from_the_front_of_path(trojans: Path) -> None:
    from dataclasses import replace

    tools = replace(toolchain.Toolchain.probe(ROOT), lld=None)
    assert not link._find_linker("/usr/libexec/collect2", tools)[0].startswith(str(trojans))


@pytest.mark.parametrize(
    "says", ["exit 1", "echo 'I am rustc'", "echo 'release: 1.10.0'; echo 'host: x'"]
)
def test_a_false_compiler_is_refused(
    says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "rustc").write_text(f"#!/bin/sh\n{says}\n")
    (tmp_path / "rustc").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(MachineError, match="rustc") as caught:
        toolchain.Toolchain.probe(tmp_path)
    assert "rustup" in (caught.value.next or "")


def test_edits_in_a_worktree_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Target, contract, prelude and slices of a worktree are never read."""
    monkeypatch.delenv("LAR_ROOT", raising=False)
    target = catalogue.load_target(ROOT, "pq-l2")
    before, parts = measure_provenance(ROOT, target, DEFAULT), kits.compile_kit(ROOT, "pq-l2")
    tree = checkout.ensure_lar_dir(ROOT, "work", f"reach-{secrets.token_hex(4)}")
    try:
        shutil.copytree(ROOT / "targets", tree / "targets")
        shutil.copy2(ROOT / "upstream.toml", tree)
        home = tree / "targets" / "pq-l2"
        for name in ("target.py", "contract.rs", "prelude.rs", "adapter.rs"):
            (home / name).write_text("raise SystemExit('owned')\n")
        (tree / "upstream.toml").write_text("version = '0.0.1'\n")
        (tree / ".cargo").mkdir()
        (tree / ".cargo" / "config.toml").write_text("[build]\nrustc = '/bin/false'\n")
        (tree / "rust-toolchain.toml").write_text("[toolchain]\nchannel = '1.0.0'\n")
        (tree / ".lar").mkdir()
        (tree / ".lar" / "ledger.sqlite").write_bytes(b"owned")
        monkeypatch.chdir(home)
        assert checkout.find_root() == ROOT
        again = catalogue.load_target(checkout.find_root(), "pq-l2")
        assert again.timed == target.timed and again.ops == target.ops
        assert measure_provenance(checkout.find_root(), again, DEFAULT) == before
        assert kits.compile_kit(checkout.find_root(), "pq-l2").digest == parts.digest
    finally:
        monkeypatch.chdir(ROOT)
        shutil.rmtree(tree)


def test_what_is_no_plain_file_is_refused(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("the host's")
    path = tmp_path / "tree" / "kernels.rs"
    path.parent.mkdir()
    path.symlink_to(secret)
    with pytest.raises(RejectedKernel, match=r"regular file|links"):
        read_kernel(path, inside=tmp_path)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(RejectedKernel, match="regular file"):
        read_kernel(path, inside=tmp_path)
    path.unlink()
    path.mkdir()
    with pytest.raises(RejectedKernel, match="regular file"):
        read_kernel(path, inside=tmp_path)
    path.rmdir()
    with pytest.raises(RejectedKernel, match="no kernel"):
        read_kernel(path, inside=tmp_path)
    path.parent.rmdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "kernels.rs").write_text("fn f() {}")
    path.parent.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RejectedKernel):
        read_kernel(path, inside=tmp_path)


def test_a_link_in_the_kernels_place_is_replaced_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("yours")
    path = tmp_path / "tree" / "kernels.rs"
    path.parent.mkdir()
    path.symlink_to(outside)
    place_kernel(path, b"ours", inside=tmp_path, scratch=tmp_path / "scratch")
    assert outside.read_text() == "yours" and path.read_bytes() == b"ours"
    assert stat.S_ISREG(path.lstat().st_mode)


def test_a_file_that_changes_after_it_was_read_is_judged_as_read(
    digest: str, tmp_path: Path
) -> None:
    path = tmp_path / "kernels.rs"
    path.write_bytes(fresh_kernel())
    text = read_kernel(path)
    path.write_text("fn other() {}")
    built = builder.build_kernel(ROOT, "pq-l2", text)
    assert built.digest == digest
    assert (built.home / "kernels.rs").read_bytes() == text
