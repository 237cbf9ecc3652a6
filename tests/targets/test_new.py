"""`lar new`: a function of Lance becomes a target that passes `lar validate` unedited."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from checkout_parts import take_products

from lance_autoresearch.build.builder import build_kernel, build_upstream
from lance_autoresearch.errors import UsageError
from lance_autoresearch.oracle.slicer import Slicer
from lance_autoresearch.oracle.syntax import Source
from lance_autoresearch.targets import catalogue, scaffold, signature

ROOT = Path(__file__).resolve().parents[2]
LAR = Path(sys.executable).parent / "lar"
HAMMING = (
    "--upstream", "lance-linalg::distance::hamming::hamming",
    "--call-site", "lance-index/src/vector/kmeans.rs:817",
    "--cost", "0.1",
)  # fmt: skip


def lar(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "LAR_ROOT": str(root)}
    return subprocess.run([LAR, *words], capture_output=True, text=True, env=env, cwd=root)


def copy_of_checkout(path: Path) -> Path:
    """Sources, targets, archives and built programs of this checkout, to be changed freely."""
    for name in ("upstream.toml", "upstream.lock"):
        shutil.copy2(ROOT / name, path / name)
    for name in ("targets", "rust"):
        shutil.copytree(ROOT / name, path / name, ignore=shutil.ignore_patterns("target"))
    take_products(path, "upstream", "bin")
    return path


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_of_checkout(tmp_path_factory.mktemp("checkout"))


@pytest.fixture(scope="module")
def hamming(checkout: Path) -> Path:
    """The checkout after `lar new hamming`."""
    done = lar(checkout, "new", "hamming", *HAMMING)
    assert done.returncode == 0, done.stderr
    assert "next: lar validate hamming" in done.stdout
    assert "note" not in done.stdout.splitlines()[1]
    return checkout


def test_the_new_target_is_sound(hamming: Path) -> None:
    target = catalogue.load_target(hamming, "hamming")
    assert [op.name for op in target.ops] == ["hamming"]
    assert target.call_site == "lance-index/src/vector/kmeans.rs:817"
    assert target.cost.startswith("10 %")


def test_what_was_written_is_clean_and_complete(hamming: Path) -> None:
    home = hamming / "targets" / "hamming"
    ruff = [LAR.parent / "ruff", "check", "--config", ROOT / "pyproject.toml", home]
    done = subprocess.run(ruff, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert set(scaffold.list_files(hamming, "hamming")) == {
        "target.py", "fixtures.py", "extracts.toml", "contract.rs", "adapter.rs", "prelude.rs",
        "program.md", "integration.md", "cheats/constant.rs",
    }  # fmt: skip


def test_what_the_function_calls_comes_along(hamming: Path) -> None:
    table = tomllib.loads((hamming / "targets" / "hamming" / "extracts.toml").read_text())
    assert table["kernel"][0]["items"] == ["fn hamming", "fn hamming_autovec"]
    lock = tomllib.loads((hamming / "upstream.lock").read_text())["items"]
    assert any("fn hamming_autovec" in key for key in lock["hamming"])


def test_the_other_targets_stay_as_they_were(hamming: Path) -> None:
    new, old = (
        tomllib.loads((root / "upstream.lock").read_text())["items"] for root in (hamming, ROOT)
    )
    assert {k: v for k, v in new.items() if k != "hamming"} == old
    assert (hamming / "upstream.toml").read_bytes() == (ROOT / "upstream.toml").read_bytes()


def test_no_text_of_lance_in_what_was_written(hamming: Path) -> None:
    files = (hamming / "targets" / "hamming").rglob("*.*")
    written = "".join(p.read_text() for p in files if p.suffix != ".pyc")
    assert "count_ones" not in written


def test_first_kernel_and_cheat_build(hamming: Path) -> None:
    first = build_upstream(hamming, "hamming")
    cheat = (hamming / "targets" / "hamming" / "cheats" / "constant.rs").read_bytes()
    assert build_kernel(hamming, "hamming", cheat).digest != first.digest


def test_what_needs_no_clock_is_proven_on_a_busy_machine(hamming: Path) -> None:
    done = lar(hamming, "validate", "hamming", "--untimed", "--json")
    lines = {line["what"]: line for line in map(json.loads, done.stdout.splitlines())}
    assert done.returncode == 0 and all(line["ok"] for line in lines.values())
    assert lines["cheat constant"]["detail"].startswith("incorrect")
    assert "champion equals Lance on secret cases" in lines
    assert not any("A/A" in what for what in lines)


@pytest.mark.deep
@pytest.mark.timing
def test_lar_validate_passes_unedited(hamming: Path) -> None:
    done = lar(hamming, "validate", "hamming", "--json")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, done.stdout + done.stderr
    assert any(line["what"].startswith("cheat") and line["ok"] for line in lines)
    assert all(line["ok"] for line in lines)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["x", *HAMMING[:2], *HAMMING[4:]], "a kernel that is never called"),
        (["x", *HAMMING[:4]], "share of real work"),
        (["x", *HAMMING[:4], "--cost", "7"], "not a fraction"),
        (["Bad", *HAMMING], "lower case"),
        (["pq-l2", *HAMMING], "exists already"),
        (["x", "--upstream", "hamming", *HAMMING[2:]], "CRATE::PATH"),
        (["x", *HAMMING[:2], "--call-site", "kmeans", *HAMMING[4:]], "is not like"),
        (["x", *HAMMING[:2], "--call-site", "lance-index/src/vector/kmeans.rs:1", *HAMMING[4:]],
         "does not name hamming"),
        (["x", "--upstream", "lance-linalg::distance::hamming::haming", *HAMMING[2:]],
         "allowed: hamming"),
        (["x", "--upstream", "lance-linalg::distance::hamming::hamming_distance_batch",
          *HAMMING[2:]], "returns `Box<dyn Iterator"),
        (["x", "--upstream", "lance-index::vector::pq::distance::build_distance_table_l2",
          *HAMMING[2:]], "parameter `codebook: &[T]`"),
    ],
)  # fmt: skip
def test_refusals_say_why_and_write_nothing(hamming: Path, words: list[str], reason: str) -> None:
    before = (hamming / "upstream.toml").read_bytes()
    done = lar(hamming, "new", *words)
    assert done.returncode == 64
    assert reason in done.stderr
    assert (hamming / "upstream.toml").read_bytes() == before
    assert not (hamming / "targets" / "x").exists()


def test_all_faults_of_a_command_line_at_once(checkout: Path) -> None:
    with pytest.raises(UsageError) as caught:
        scaffold.parse_order(checkout, "Bad Name", None, None, None)
    assert str(caught.value).count("--") >= 3


@pytest.mark.deep
@pytest.mark.parametrize(
    ("path", "items"),
    [
        ("lance-index::vector::pairwise::l2_to_cosine", {"fn l2_to_cosine", "fn cosine_from_l2"}),
        ("lance-linalg::distance::l2::l2_distance_uint_scalar", {"fn assert_equal_lengths"}),
        ("lance-index::scalar::inverted::wand_intersection::intersect", {"fn intersect_scalar"}),
    ],
)
def test_other_signatures_build_too(hamming: Path, path: str, items: set[str]) -> None:
    """Changed in place; helpers of another file; values appended to a Vec."""
    name = path.rpartition("::")[2].replace("_", "-")
    site = "lance-index/src/vector/utils.rs:1"  # names none of them: a note, no refusal
    done = lar(hamming, "new", name, "--upstream", path, "--call-site", site, "--cost", "0.05")
    assert done.returncode == 0, done.stderr
    assert "does not build" not in done.stdout
    tables = tomllib.loads((hamming / "targets" / name / "extracts.toml").read_text())
    assert items <= {i for group in tables.values() for entry in group for i in entry["items"]}
    assert catalogue.load_target(hamming, name).ops[0].outputs
    build_upstream(hamming, name)


def parsed(text: str) -> signature.Signature:
    source = Source("x.rs", text.encode())
    return signature.parse_signature(source, Slicer(source).find_items("fn f")[0].node)


def test_signature_kinds() -> None:
    found = parsed("fn f(a: &[f32], n: usize, out: &mut [u32], acc: &mut [f64]) -> bool { true }")
    assert [p.kind for p in found.params] == ["slice", "scalar", "out", "inout"]
    assert found.outputs == (("out", "u32"), ("acc", "f64"), ("returned", "u8"))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("fn f<T: Copy>(a: &[T]) -> f32 { 0.0 }", "is generic"),
        ("unsafe fn f(a: &[f32]) -> f32 { 0.0 }", "is unsafe"),
        ("fn f(a: Option<&[f32]>) -> f32 { 0.0 }", "parameter `a: Option<&[f32]>`"),
        ("fn f(a: &[f32]) {}", "returns nothing"),
        ("fn f() -> f32 { 0.0 }", "takes nothing"),
        ("fn f(a: &[f32]) -> (f32, f32) { (0.0, 0.0) }", "returns `(f32, f32)`"),
        ("fn f(a: &[u8], b: &mut Vec<u8>, c: &mut Vec<u8>) {}", "appends to a Vec"),
    ],
)
def test_what_needs_a_person_is_named(text: str, complaint: str) -> None:
    with pytest.raises(UsageError) as caught:
        parsed(text)
    assert complaint in str(caught.value)


def test_lifetimes_are_no_generics() -> None:
    assert parsed("fn f<'a>(a: &'a [f32]) -> f32 { 0.0 }").returns == "f32"
