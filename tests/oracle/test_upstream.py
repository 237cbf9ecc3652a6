"""Fetching, verifying, slicing and comparing Lance's own releases, through real cargo."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
from pathlib import Path

import pytest
from pace import least_ratio, own_seconds, pace_seconds

from lance_autoresearch import oracle
from lance_autoresearch.cli import upstream as verbs
from lance_autoresearch.errors import UpstreamError
from lance_autoresearch.host.checkout import find_root
from lance_autoresearch.oracle.archives import _unpack_archive
from lance_autoresearch.oracle.lock import Lock
from lance_autoresearch.oracle.manifest import parse_manifest

MANIFEST = """
version = "14.0.2"
[source]
kind = "registry"
crates = ["lance-index", "lance-linalg"]
"""
EXTRACTS = """
[[kernel]]
crate = "lance-index"
file = "src/vector/pq/distance.rs"
items = ["compute_pq_distance"]

[[prelude]]
crate = "lance-linalg"
file = "src/simd/x86.rs"
items = ["hsum256_ps"]
edits = [{ old = "_mm_cvtss_f32", new = "_mm_cvtss_f32", count = 1 }]
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A checkout with one target, pinned."""
    (tmp_path / "upstream.toml").write_text(MANIFEST)
    (tmp_path / "targets" / "pq").mkdir(parents=True)
    (tmp_path / "targets" / "pq" / "extracts.toml").write_text(EXTRACTS)
    (tmp_path / "targets" / "pq" / "adapter.rs").write_text("pub fn scan() {}\n")
    oracle.pin_release(tmp_path)
    return tmp_path


def test_the_committed_lock_is_what_the_release_gives() -> None:
    checkout = find_root()
    oracle.fetch_upstream(checkout)
    lock, manifest = Lock.read(checkout), oracle.load_manifest(checkout)
    assert lock.version == manifest.version == "14.0.2"
    for name in (n for n, target in manifest.targets.items() if target.entries):
        items = oracle.list_item_lines(checkout, name)
        assert items and len(items) == len(lock.items[name])
        for item in items:
            key = f"{item.group} {item.source} {item.spec}"
            assert lock.items[name][key] == (item.sha256, item.line)


def test_first_kernel_is_licence_items_adapter(root: Path) -> None:
    text = (oracle.ensure_extracts(root, "pq") / "kernel.rs").read_text()
    assert text.startswith("// SPDX-License-Identifier: Apache-2.0\n")
    assert text.index("use prelude::*;") < text.index("pub fn compute_pq_distance")
    assert text.endswith("(written by hand)\npub fn scan() {}\n")


def test_sliced_bytes_are_verbatim(root: Path) -> None:
    """Every line of the slice but visibility, notes and our own is a line of the archive."""
    crate = root / ".lar" / "upstream" / "14.0.2" / "lance-index"
    theirs = set((crate / "src/vector/pq/distance.rs").read_text().splitlines())
    ours = (oracle.ensure_extracts(root, "pq") / "kernel.rs").read_text().splitlines()
    extra = [line for line in ours if line not in theirs]
    assert extra == [
        "use prelude::*;",
        "// lance-index/src/vector/pq/distance.rs:131",
        "pub fn compute_pq_distance(",
        "// ---- adapter: fits the items above to the surface (written by hand)",
        "pub fn scan() {}",
    ]


def test_fetch_does_nothing_while_all_stands(root: Path) -> None:
    said: list[str] = []
    looked = least_ratio(
        lambda: own_seconds(lambda: oracle.fetch_upstream(root, progress=said.append)), pace_seconds
    )
    assert said == [] and looked < 0.5, "a twentieth of a second"
    (root / "targets" / "pq" / "adapter.rs").write_text("pub fn other() {}\n")
    oracle.fetch_upstream(root, progress=said.append)
    assert said == ["extracted pq"]
    (root / ".lar" / "extracts" / "pq" / "kernel.rs").write_text("tampered")
    assert "fn other" in (oracle.ensure_extracts(root, "pq") / "kernel.rs").read_text()


def test_a_wrong_archive_is_refused_before_it_is_read(root: Path) -> None:
    lock = Lock.read(root)
    Lock(lock.version, {**lock.archives, "lance-index": "0" * 64}, lock.items).write(root)
    shutil.rmtree(root / ".lar")
    with pytest.raises(UpstreamError, match=r"lance-index 14\.0\.2: archive has sha256"):
        oracle.fetch_upstream(root)
    assert not (root / ".lar" / "upstream" / "14.0.2" / "lance-index").exists()


def test_an_item_that_differs_from_the_lock_is_refused(root: Path) -> None:
    lock = Lock.read(root)
    key = "kernel lance-index/src/vector/pq/distance.rs compute_pq_distance"
    items = {"pq": {**lock.items["pq"], key: ("f" * 64, 131)}}
    Lock(lock.version, lock.archives, items).write(root)
    with pytest.raises(UpstreamError, match=r"differ from upstream\.lock.*compute_pq_distance"):
        oracle.fetch_upstream(root)


def test_an_item_without_a_pin_is_refused(root: Path) -> None:
    path = root / "targets" / "pq" / "extracts.toml"
    path.write_text(path.read_text().replace('"hsum256_ps"', '"hsum256_ps", "hsum256_pd"'))
    with pytest.raises(UpstreamError, match=r"not in upstream\.lock yet.*hsum256_pd") as caught:
        oracle.fetch_upstream(root)
    assert caught.value.next == "lar upstream pin"
    with pytest.raises(UpstreamError, match="occurs 1 times, not 2"):
        path.write_text(path.read_text().replace("count = 1", "count = 2"))
        oracle.pin_release(root)


def test_versions_of_manifest_and_lock_must_agree(root: Path) -> None:
    path = root / "upstream.toml"
    path.write_text(path.read_text().replace("14.0.2", "13.0.0"))
    with pytest.raises(UpstreamError, match=r"says 13\.0\.0, upstream\.lock says 14\.0\.2"):
        oracle.fetch_upstream(root)


def test_drift_to_another_release_and_pin_to_it(root: Path) -> None:
    states = {d.spec: d for d in oracle.find_drift(root, "13.0.0")}
    assert states["compute_pq_distance"].state in ("same", "moved", "changed", "gone")
    assert {d.state for d in oracle.find_drift(root, "14.0.2")} == {"same"}
    table = oracle.find_drift(find_root(), "13.0.0")
    by_spec = {(d.target, d.spec): d for d in table}
    changed = by_spec["pq-l2", "build_distance_table_l2_impl"]
    assert changed.state == "changed" and "-        l2_distance_batch_into(" in changed.diff
    gone = by_spec["pq-l2", "L2_F32_BATCH"]
    assert gone.state == "gone" and gone.new_line is None
    assert by_spec["topk-merge", "accumulate_distances_into_heap"].state == "same"
    text = verbs.summarize_drift(table, "14.0.2", "13.0.0")
    assert text.startswith(f"Lance 14.0.2 -> 13.0.0: {len(table)} items\n")
    oracle.pin_release(root, "13.0.0")
    assert Lock.read(root).version == oracle.load_manifest(root).version == "13.0.0"


def test_pin_to_a_release_without_the_items_writes_nothing() -> None:
    checkout = find_root()
    before = (checkout / "upstream.lock").read_bytes(), (checkout / "upstream.toml").read_bytes()
    with pytest.raises(UpstreamError):
        oracle.pin_release(checkout, "13.0.0")
    assert before == (
        (checkout / "upstream.lock").read_bytes(),
        (checkout / "upstream.toml").read_bytes(),
    )


def test_a_path_source_is_found_by_crate_name_and_followed(root: Path, tmp_path: Path) -> None:
    fork = tmp_path / "fork" / "rust" / "some-dir"
    (fork / "src" / "simd").mkdir(parents=True)
    (fork / "Cargo.toml").write_text('[package]\nname = "lance-linalg"\n')
    (fork / "src" / "simd" / "x86.rs").write_text("fn hsum256_ps() -> u8 { 1 }\n")
    text = MANIFEST.replace('kind = "registry"', 'kind = "path"\npath = "fork"')
    (root / "upstream.toml").write_text(text)
    listed = EXTRACTS.replace("edits", "# edits")
    (root / "targets" / "pq" / "extracts.toml").write_text(listed[listed.index("[[prelude]]") :])
    oracle.pin_release(root)
    made = oracle.ensure_extracts(root, "pq") / "prelude" / "lance-linalg" / "simd" / "x86.rs"
    assert "pub fn hsum256_ps() -> u8 { 1 }" in made.read_text()
    (fork / "src" / "simd" / "x86.rs").write_text("fn hsum256_ps() -> u8 { 2 }\n")
    with pytest.raises(UpstreamError, match=r"differ from upstream\.lock"):
        oracle.fetch_upstream(root)
    (fork / "Cargo.toml").unlink()
    with pytest.raises(UpstreamError, match="no crate 'lance-linalg' below fork"):
        oracle.fetch_upstream(root)


def test_a_crate_that_does_not_exist_says_so(root: Path) -> None:
    with pytest.raises(UpstreamError, match="cargo cannot fetch it"):
        oracle.pin_release(root, "14.0.99")


def test_the_verbs_speak_plainly_and_in_json(
    root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAR_ROOT", str(root))
    assert verbs.fetch_upstream() == 0
    fetched = capsys.readouterr().out
    assert fetched.startswith("Lance 14.0.2: extracts of 1 targets are as pinned\n  pq ")
    assert verbs.show_upstream("pq") == 0
    text = capsys.readouterr().out
    assert "distance.rs:131   compute_pq_distance" in text and "kernel: 1 items" in text
    assert verbs.show_upstream("pq", kernel=True) == 0
    assert "pub fn compute_pq_distance" in capsys.readouterr().out
    assert verbs.show_drift(to="13.0.0") == 0
    assert "Lance 14.0.2 -> 13.0.0: 2 items" in capsys.readouterr().out
    assert verbs.pin_upstream() == 0
    assert capsys.readouterr().out.startswith("pinned Lance 14.0.2: 2 crates, 2 items\n")
    for call in (
        lambda: verbs.fetch_upstream(json=True),
        lambda: verbs.show_upstream("pq", json=True),
        lambda: verbs.show_drift(to="13.0.0", json=True),
        lambda: verbs.pin_upstream(json=True),
    ):
        assert call() == 0 and isinstance(json.loads(capsys.readouterr().out), dict)
    with pytest.raises(UpstreamError, match="no target 'qp'") as caught:
        verbs.show_upstream("qp")
    assert caught.value.allowed == ("pq",)


def test_all_faults_of_a_manifest_are_reported_at_once() -> None:
    with pytest.raises(UpstreamError) as caught:
        parse_manifest(
            """
            vershon = "14.0.2"
            [source]
            kind = "regstry"
            crates = ["lance-linalg"]
            """,
            {
                "a": """
                    [[preludes]]
                    crate = "x"
                    [[kernel]]
                    crate = "lance-linalgg"
                    file = "../etc/passwd"
                    itms = ["x"]
                    """,
                "b": "kernel = 1",
                "c": "[[kernel",
            },
        )
    text = str(caught.value)
    for expected in (
        "unknown key 'vershon' (did you mean 'version'?)",
        "'version' is missing",
        "'regstry' (did you mean 'registry'?)",
        "unknown key 'preludes' (did you mean 'prelude'?)",
        "'lance-linalgg' (did you mean 'lance-linalg'?)",
        "must be a path src/... inside the crate",
        "unknown key 'itms' (did you mean 'items'?)",
        "targets/a/extracts.toml [[kernel]] #1",
        "targets/b/extracts.toml: 'kernel' must be written as [[kernel]]",
        "targets/c/extracts.toml: not valid TOML",
    ):
        assert expected in text


def test_an_archive_cannot_write_outside_its_directory(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    escaping = tarfile.TarInfo("crate-1.0.0/../../escaped")
    link = tarfile.TarInfo("crate-1.0.0/link")
    link.type, link.linkname = tarfile.SYMTYPE, str(tmp_path)
    for info in (escaping, link):
        data = io.BytesIO()
        with tarfile.open(fileobj=data, mode="w:gz") as archive:
            archive.addfile(info, io.BytesIO())
        with pytest.raises(UpstreamError, match="plain files"):
            _unpack_archive(data.getvalue(), "crate-1.0.0", tmp_path / "in" / "crate")
    assert not (tmp_path / "escaped").exists()
