"""Cheats made from templates: one for each op, honest but for the attack, and they compile."""

from __future__ import annotations

from pathlib import Path

import pytest

from lance_autoresearch.build.builder import build_kernel, build_upstream, compose_first_kernel
from lance_autoresearch.errors import UsageError
from lance_autoresearch.targets import catalogue
from lance_autoresearch.targets.cheats import expand_template, load_cheats, read_cheat

ROOT = Path(__file__).resolve().parents[2]
TOY = catalogue.load_target(ROOT, "_toy")
CHEATS = load_cheats(ROOT, "_toy")
TEMPLATE = "//! hack 1: nothing; stopped by A\n\nsurface! {\n    BODY\n}\n"


def expand(body: str, op: str = "blend") -> str:
    kernel = compose_first_kernel(ROOT, "_toy").decode()
    return expand_template(TEMPLATE.replace("BODY", body), kernel, TOY, op)


def test_a_template_gives_a_kernel_for_each_op() -> None:
    files = list((ROOT / "targets/_toy/cheats").glob("*.rs"))
    assert len(files) >= 40
    by_file = {path.stem: {c.op for c in CHEATS if c.stem == path.stem} for path in files}
    only = {stem for stem, ops in by_file.items() if ops != {op.name for op in TOY.ops}}
    assert {"nan-fill"} < only, "floats alone have NaN"
    # What concerns the processor and the stack is the same whichever op runs: one is enough.
    assert only - {"nan-fill"} == {
        "deep-stack", "direction", "flush-to-zero", "rounding", "unmasked", "x87-control"
    }


def test_a_template_that_does_nothing_is_the_honest_kernel(tmp_path: Path) -> None:
    for op in TOY.ops:
        text = expand("honest!()", op.name)
        assert text.count(f"pub fn {op.name}(") == 1 and f"{op.name}_honest(" in text
        build_kernel(ROOT, "_toy", text.encode())


def test_words_of_a_template_are_replaced() -> None:
    assert "matches!(out.len(), 256 | 1024)" in expand("matches!(out.len(), timed!())")
    assert "matches!(out.len(), 1100 | 4400)" in expand(
        "matches!(out.len(), confirmed!())", "compact"
    )
    assert "[view(input), view(weights)].concat()" in expand("all_inputs!()")


COMPILER_TOO = ("own-allocator",)
"""The shim has a global allocator, so rustc refuses a second one as well."""
REFUSED_BY_TEXT = [c for c in CHEATS if c.by == "A" and c.stem not in COMPILER_TOO]


@pytest.mark.parametrize("cheat", REFUSED_BY_TEXT, ids=lambda c: c.id)
def test_what_admission_refuses_would_compile(cheat) -> None:
    """Else the attack would prove nothing: the others are built when they are judged."""
    built = build_kernel(ROOT, "_toy", cheat.text)
    assert built.digest != build_upstream(ROOT, "_toy").digest


@pytest.mark.parametrize("target", catalogue.list_targets(ROOT))
def test_a_real_target_has_three_to_nine_cheats_of_its_own(target: str) -> None:
    """Files; one may attack several ops."""
    assert 3 <= len({cheat.stem for cheat in load_cheats(ROOT, target)}) <= 9


def test_faults_of_a_file_are_named(tmp_path: Path) -> None:
    path = tmp_path / "a.rs"
    path.write_text("// a kernel\n")
    with pytest.raises(UsageError, match="first line must read"):
        read_cheat(ROOT, "_toy", path)
    path.write_text(TEMPLATE + "\nsurface! {\n    honest!()\n}\n")
    with pytest.raises(UsageError, match=r"one `surface! \{ ... \}` block, not 2"):
        read_cheat(ROOT, "_toy", path)
    with pytest.raises(UsageError, match="no `pub fn scale`"):
        expand("honest!()", "scale")
