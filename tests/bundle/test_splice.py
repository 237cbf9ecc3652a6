"""A champion in Lance's source: it fits the release in both layouts, or fails loudly."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from campaign_parts import git

from lance_autoresearch.bundle.folder import check_newer, find_crate, patch_release
from lance_autoresearch.errors import LedgerError, UpstreamError, UsageError
from lance_autoresearch.host.git import Git
from lance_autoresearch.integrate.splice import (
    drop_items,
    find_folder,
    load_splice,
    write_patch,
)

ROOT = Path(__file__).resolve().parents[2]


def lay_repository(to: Path, crates: tuple[str, ...]) -> Path:
    """A git repository laid out like Lance's, from the published crates; never committed here."""
    for crate in crates:
        source = find_crate(ROOT, crate)
        for path in source.rglob("*"):
            if path.is_file():
                place = to / find_folder(ROOT, "repository", crate) / path.relative_to(source)
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(path.read_bytes())
    git(to, "init", "-q", "-b", "main")
    git(to, "add", "-A")
    git(to, "commit", "-q", "-m", "as published")
    return to


def test_the_patch_goes_into_a_repository_and_leaves_the_worktree_alone(tmp_path: Path) -> None:
    made = patch_release(ROOT, "fsst")
    patch = write_patch(made.splice, made.read, made.files, "repository").encode()
    place = lay_repository(tmp_path / "lance", made.splice.crates)
    commit = Git(place).commit_patch("lar/fsst", patch, "perf(encoding): x", tmp_path / "index")
    assert git(place, "status", "--porcelain") == ""
    assert git(place, "branch", "--show-current") == "main"
    shown = git(place, "show", "--name-only", "--format=%s", commit).splitlines()
    assert shown[0] == "perf(encoding): x"
    folder = find_folder(ROOT, "repository", "fsst")
    assert set(shown[2:]) == {f"{folder}/{file}" for _, file in made.files}
    for (_, file), text in made.files.items():
        assert git(place, "show", f"{commit}:{folder}/{file}") == text.strip()
    with pytest.raises(LedgerError, match="update-ref failed"):
        Git(place).commit_patch("lar/fsst", patch, "again", tmp_path / "index")


def test_the_patch_goes_into_the_published_crates_with_patch(tmp_path: Path) -> None:
    made = patch_release(ROOT, "fsst")
    place = tmp_path / "fsst"
    for path in find_crate(ROOT, "fsst").rglob("*.rs"):
        to = place / path.relative_to(find_crate(ROOT, "fsst"))
        to.parent.mkdir(parents=True, exist_ok=True)
        to.write_bytes(path.read_bytes())
    patch = write_patch(made.splice, made.read, made.files, "crates")
    subprocess.run(["patch", "-s", "-p1"], cwd=tmp_path, input=patch, text=True, check=True)
    for (_, file), text in made.files.items():
        assert (place / file).read_text() == text


def test_a_release_in_which_lance_moved_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no crate fsst"):
        check_newer(ROOT, "fsst", tmp_path)
    for name in ("lib.rs", "fsst.rs"):
        place = tmp_path / "fsst" / "src" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes((find_crate(ROOT, "fsst") / "src" / name).read_bytes())
    check_newer(ROOT, "fsst", tmp_path)
    moved = (tmp_path / "fsst" / "src" / "fsst.rs").read_text().replace("FsstDecoder::new()", "x()")
    (tmp_path / "fsst" / "src" / "fsst.rs").write_text(moved)
    with pytest.raises(UpstreamError, match="Lance moved"):
        check_newer(ROOT, "fsst", tmp_path)


def test_items_are_dropped_with_their_comments_and_a_gone_one_is_named() -> None:
    text = b"// One.\nfn one() {}\n\nmod m {\n    // Two.\n    #[inline]\n    fn two() {}\n}\n"
    assert drop_items(text, ["one", "m::two"], "t") == b"\nmod m {\n}\n"
    with pytest.raises(UpstreamError, match="no item three"):
        drop_items(text, ["three"], "t")


def test_a_target_without_a_manifest_says_where_an_example_is() -> None:
    with pytest.raises(UsageError) as refused:
        load_splice(ROOT, "_toy")
    assert refused.value.next is not None
    example = refused.value.next.split("targets/")[1].split()[0]
    assert (ROOT / "targets" / example / "integration" / "splice.toml").is_file()


def test_no_text_of_lance_is_stored_in_the_manifest() -> None:
    """Every line of ours that has more than an anchor's length is not a line of the release."""
    made = patch_release(ROOT, "fsst")
    theirs = {line.strip() for path in find_crate(ROOT, "fsst").rglob("*.rs")
              for line in path.read_text().splitlines()}  # fmt: skip
    ours = (ROOT / "targets/fsst/integration/splice.toml").read_text().splitlines()
    common = [line for line in ours if len(line.strip()) > 72 and line.strip() in theirs]
    assert not common and made.files
