"""Hooks: where lines of ours go, and what happens if Lance moved."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lance_autoresearch.errors import UpstreamError
from lance_autoresearch.integrate.patches import MAX_ANCHOR, Edit, apply_edits, load_edits
from lance_autoresearch.oracle.archives import Archives
from lance_autoresearch.oracle.lock import Lock
from lance_autoresearch.oracle.manifest import load_manifest

ROOT = Path(__file__).parents[2]
TEXT = "fn a() {\n    let x = 1;\n    b(x)\n}\nfn c() {\n    let x = 1;\n}\n"
EDIT = Edit("t", "crate", "src/lib.rs", "let x = 1;", 2, 2, "    first();\n", "")


def test_lines_go_before_and_after_the_line_that_is_meant() -> None:
    both = apply_edits(TEXT, [EDIT, replace(EDIT, which=1, before="", after="    second();")])
    assert both == (
        "fn a() {\n    let x = 1;\n    second();\n    b(x)\n}\nfn c() {\n    first();\n"
        "    let x = 1;\n}\n"
    )


def test_two_edits_at_one_line_keep_their_order() -> None:
    both = apply_edits(TEXT, [EDIT, replace(EDIT, before="    later();\n")])
    assert both.index("first();") < both.index("later();") < both.rindex("let x")


@pytest.mark.parametrize("count", [1, 3])
def test_an_anchor_that_occurs_otherwise_is_refused(count: int) -> None:
    with pytest.raises(UpstreamError, match="occurs 2 times, expected"):
        apply_edits(TEXT, [replace(EDIT, count=count, which=1)])


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ("anchor = 'x'", "wrong or missing keys: count, crate, file"),
        ("crate='c'\nfile='src/a.rs'\nanchor='x'\ncount=1\nbefor='y'", "befor"),
        ("crate='c'\nfile='../a.rs'\nanchor='x'\ncount=1\nbefore='y'", "not inside"),
        ("crate='c'\nfile='src/a.rs'\nanchor='x'\ncount=1\nwhich=2\nbefore='y'", "which = 2 of 1"),
        ("crate='c'\nfile='src/a.rs'\nanchor='x'\ncount=1", "inserts nothing"),
        (f"crate='c'\nfile='src/a.rs'\nanchor='{'x' * 73}'\ncount=1\nbefore='y'", "at most 72"),
    ],
)
def test_a_faulty_manifest_is_refused(tmp_path: Path, body: str, fault: str) -> None:
    place = tmp_path / "targets" / "t" / "integration" / "patch.toml"
    place.parent.mkdir(parents=True)
    place.write_text(f"[[edit]]\n{body}\n")
    with pytest.raises(UpstreamError, match=fault):
        load_edits(tmp_path)


def test_every_hook_applies_to_the_pinned_release() -> None:
    edits = load_edits(ROOT)
    archives, digests = Archives(ROOT, load_manifest(ROOT)), Lock.read(ROOT).archives
    patched = {path.parents[1].name for path in ROOT.glob("targets/*/integration/patch.toml")}
    assert {edit.target for edit in edits} == patched
    assert {"fsst", "pq-l2", "predicate", "topk-merge"} <= patched
    for crate, file in sorted({(edit.crate, edit.file) for edit in edits}):
        mine = [edit for edit in edits if (edit.crate, edit.file) == (crate, file)]
        source = archives.ensure_directory(crate, digests[crate]) / file
        before = source.read_text()
        after = apply_edits(before, mine)
        kept = after
        for edit in mine:
            assert len(edit.anchor) <= MAX_ANCHOR
            kept = kept.replace(edit.before, "", 1) if edit.before else kept
            kept = kept.replace(edit.after, "", 1) if edit.after else kept
        assert after != before and kept == before
