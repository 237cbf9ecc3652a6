"""Crates of other projects that a target links: listed exactly, pinned, plain, and known to the
audit."""

from __future__ import annotations

from pathlib import Path

import pytest

from lance_autoresearch.build.kit import select_crate_options
from lance_autoresearch.errors import RejectedKernel, UpstreamError
from lance_autoresearch.host.checkout import find_root
from lance_autoresearch.judge.admission import check_audit
from lance_autoresearch.oracle import ensure_extracts, list_linked_names, load_manifest
from lance_autoresearch.oracle.archives import Archives
from lance_autoresearch.oracle.linked_crates import read_crate_facts, read_linked_crates
from lance_autoresearch.oracle.lock import Lock
from lance_autoresearch.oracle.manifest import LinkedCrate, parse_manifest

ROOT = find_root()
RELEASE = 'version = "14.0.2"\n[source]\nkind = "registry"\ncrates = ["lance-index"]\n'
CRATE = '[[crate]]\nname = "{}"\nversion = "{}"\n'


def test_crates_are_read_in_their_order() -> None:
    text = CRATE.format("one-part", "1.2.3") + CRATE.format("two", "0.1.0") + 'features = ["std"]\n'
    crates = parse_manifest(RELEASE, {"a": text}).get_target("a").crates
    assert [c.rust_name for c in crates] == ["one_part", "two"]
    assert [c.features for c in crates] == [(), ("std",)]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (CRATE.format("a", "1.2"), "not like 1.2.3"),
        (CRATE.format("a", "^1.2.3"), "not like 1.2.3"),
        (CRATE.format("../a", "1.2.3"), "no name of a crate"),
        ('[[crate]]\nname = "a"\n', "'version' is missing"),
        (CRATE.format("a", "1.2.3") + "path = 'x'\n", "unknown key 'path'"),
        (CRATE.format("a", "1.2.3") + "features = 'std'\n", "must list names"),
        ("crate = 'a'\n", r"must be written as \[\[crate\]\]"),
    ],
)
def test_a_crate_that_is_not_listed_exactly_is_a_fault(text: str, fault: str) -> None:
    with pytest.raises(UpstreamError, match=fault):
        parse_manifest(RELEASE, {"a": text})


def test_two_targets_cannot_link_two_versions() -> None:
    both = {"a": CRATE.format("x", "1.0.0"), "b": CRATE.format("x", "1.0.1")}
    with pytest.raises(UpstreamError, match=r"crate x: versions 1\.0\.0 and 1\.0\.1"):
        parse_manifest(RELEASE, both)


def test_a_crate_that_runs_code_when_it_is_compiled_is_refused(tmp_path: Path) -> None:
    plain = '[package]\nname = "x"\nedition = "2018"\n'
    (tmp_path / "Cargo.toml").write_text(plain)
    assert read_crate_facts(tmp_path).edition == "2018"
    (tmp_path / "Cargo.toml").write_text(f"{plain}[lib]\nproc-macro = true\n")
    with pytest.raises(UpstreamError, match="cannot be linked"):
        read_crate_facts(tmp_path)
    (tmp_path / "Cargo.toml").write_text(plain)
    (tmp_path / "build.rs").write_text("fn main() {}")
    with pytest.raises(UpstreamError, match="cannot be linked"):
        read_crate_facts(tmp_path)


def test_the_sources_are_the_pinned_ones() -> None:
    manifest, lock = load_manifest(ROOT), Lock.read(ROOT)
    archives = Archives(ROOT, manifest)
    for name, target in manifest.targets.items():
        for path, data in read_linked_crates(archives, target.crates, lock).items():
            assert (ensure_extracts(ROOT, name) / path).read_bytes() == data
        for crate in target.crates:
            wrong = Lock(lock.version, {crate.name: "0" * 64}, {})
            with pytest.raises(UpstreamError, match=r"upstream\.lock says 0000"):
                read_linked_crates(archives, [crate], wrong)
    with pytest.raises(UpstreamError, match=r"not in upstream\.lock"):
        read_linked_crates(archives, [LinkedCrate("unknown", "1.0.0")], lock)


def test_flags_are_ours_and_the_edition_its_own() -> None:
    options = select_crate_options(["--edition=2024", "-Copt-level=3"], "2018", ["std"])
    assert options == ["-Copt-level=3", "--edition=2018", '--cfg=feature="std"']


def test_the_audit_knows_the_crates_of_a_target_and_no_others() -> None:
    report = {"undefined": ["some_crate::list::contains", "core::panicking::panic"]}
    check_audit(report, b"", ["some_crate"])
    with pytest.raises(RejectedKernel, match="needs `some_crate"):
        check_audit(report)
    both = {"undefined": ["<some_crate::A as std::process::Termination>::report"]}
    with pytest.raises(RejectedKernel, match="needs `"):
        check_audit(both, b"", ["some_crate"])
    assert list_linked_names(ROOT, "_toy") == []
