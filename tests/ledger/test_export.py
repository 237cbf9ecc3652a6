"""Exports: a clone gets the campaign back bit for bit, and no Lance text gets into git."""

from __future__ import annotations

import json
import zlib
from pathlib import Path

import pytest
from campaign_parts import FIRST, TARGET, checkout, kernel, record
from hypothesis import given
from hypothesis import strategies as st

from lance_autoresearch.campaign import campaign
from lance_autoresearch.cli import log as log_verb
from lance_autoresearch.cli import start as start_verb
from lance_autoresearch.cli import status as status_verb
from lance_autoresearch.errors import LedgerError, UsageError
from lance_autoresearch.ledger import Ledger, delta, hash_bytes, tsv
from lance_autoresearch.ledger.export import export_campaign, load_records
from lance_autoresearch.records import Verdict

UPSTREAM = b"// Licence: Apache-2.0\nuse prelude::*;\n\n" + b"".join(
    b"pub fn step_%d(x: u32) -> u32 {\n    let y = x + %d;\n    y * 2\n}\n\n" % (n, n)
    for n in range(12)
)
DERIVED = UPSTREAM.replace(b"y * 2", b"y << 1", 3) + b"pub fn ours() {}\n"
INDENTED = b"mod inner {\n" + b"".join(b"  " + line for line in UPSTREAM.splitlines(True)) + b"}"
PAIRS = json.dumps([{"calls": [1, 2], "champion": [[3, 4]]}]).encode()


# -- deltas --------------------------------------------------------------------------------


@pytest.mark.parametrize("text", [UPSTREAM, DERIVED, INDENTED, b"", b"\n\n", b"}\r\n", b"\xff\xfe"])
def test_a_delta_gives_the_kernel_back(text: bytes) -> None:
    assert delta.decode_delta(delta.encode_delta(text, UPSTREAM), UPSTREAM) == text


lines = st.lists(
    st.sampled_from([*UPSTREAM.splitlines(True)[:12], b"  }\n", b"x\n", b"\r", b"\xf0", b"\x0c "])
)


@given(ours=lines, theirs=lines)
def test_any_delta_gives_any_kernel_back(ours: list[bytes], theirs: list[bytes]) -> None:
    text, base = b"".join(ours), b"".join(theirs)
    assert delta.decode_delta(delta.encode_delta(text, base), base) == text


@pytest.mark.parametrize("text", [UPSTREAM, DERIVED, INDENTED])
def test_no_line_of_upstream_stands_in_a_delta(text: bytes) -> None:
    ops = json.loads(delta.encode_delta(text, UPSTREAM))["ops"]
    own = "".join(op[1] for op in ops if op[0] == "text").encode()
    assert delta.count_shared_lines(own, UPSTREAM) == 0
    assert delta.count_shared_lines(text, UPSTREAM) >= delta.SHARED


def test_lines_in_common_are_counted_once_each() -> None:
    assert delta.count_shared_lines(b"}\n\n{\n", UPSTREAM) == 0
    assert delta.count_shared_lines(b"    use prelude::*;\nuse prelude::*;\n", UPSTREAM) == 1
    assert delta.count_shared_lines(b"y * 2\n" * 20, UPSTREAM) == 12


def test_a_delta_against_another_base_is_refused() -> None:
    made = delta.encode_delta(DERIVED, UPSTREAM)
    with pytest.raises(LedgerError, match="another first kernel"):
        delta.decode_delta(made, UPSTREAM + b"\n")
    for damaged in (
        made.replace(b"ours", b"theirs"),
        made[:-20],
        b"[]",
        made.replace(b'["copy", 0,', b'["copy", -1,'),
        made.replace(b'["copy", 0,', b'["fetch", 0,'),
        made.replace(b'["copy", 0,', b'["copy", 9999,'),
    ):
        assert damaged != made
        with pytest.raises(LedgerError, match="damaged"):
            delta.decode_delta(damaged, UPSTREAM)


# -- tables --------------------------------------------------------------------------------


@given(st.text())
def test_any_text_fits_one_field(text: str) -> None:
    field = tsv.escape_field(text)
    assert tsv.unescape_field(field) == text
    assert len(field.splitlines()) <= 1
    assert "\t" not in field


def test_the_table_starts_with_the_columns_its_readers_know(tmp_path: Path) -> None:
    with Ledger.open(tmp_path) as ledger:
        ledger.append(record(kernel(1), FIRST, hypothesis="a\tb\nc", gain=None), judged="k")
        ledger.append(record(kernel(2), FIRST, Verdict.KEEP), commit="ab" * 20)
        rows = ledger.list_trials()
    head, first, second = tsv.dump_trials(rows, tsv.SHORT).splitlines()
    assert head.split("\t")[:4] == ["commit", "gain", "status", "description"]
    assert first.split("\t")[:5] == ["", "", "revert", "a\\tb\\nc", "1"]
    assert second.split("\t")[:3] == ["ab" * 20, "2.5", "keep"]
    assert tsv.parse_trials(tsv.dump_trials(rows)) == rows
    with pytest.raises(LedgerError, match="line 3: damaged"):
        tsv.parse_trials(tsv.dump_trials(rows).rpartition("\t")[0])
    with pytest.raises(LedgerError, match="header"):
        tsv.parse_trials("commit\tgain\n")


# -- a campaign's records ------------------------------------------------------------------


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    """A campaign with a derived keep, an own revert and pairs, exported."""
    root = checkout(tmp_path / "r")
    mine = campaign.create_campaign(
        root, TARGET, UPSTREAM, origin="upstream", era="14.0.2", name="night"
    )
    with Ledger.open(root) as ledger:
        ledger.open_epoch(TARGET, "e1", secret=77)
        pairs = ledger.put_blob(PAIRS, "pairs")
        ledger.append(record(FIRST, FIRST, target="fsst"))
    mine.record_trial(
        record(DERIVED, UPSTREAM, Verdict.KEEP, pairs_blob=pairs), DERIVED, judged="k1"
    )
    mine.record_trial(record(FIRST, DERIVED, hypothesis="start\tover"), FIRST)
    with Ledger.open(root) as ledger:
        ledger.end_epoch(TARGET, "e1", 77)
        return export_campaign(ledger, "night", root / "records" / "night", UPSTREAM)


def test_records_come_back_whole(exported: Path) -> None:
    found = load_records(exported, UPSTREAM)
    with Ledger.open(exported.parents[1]) as ledger:
        assert list(found.trials) == ledger.list_trials(campaign="night")
        assert found.campaign == ledger.find_campaign("night")
    texts = (UPSTREAM, DERIVED, FIRST)
    assert found.kernels == {hash_bytes(text): text for text in texts}
    assert found.pairs == {hash_bytes(PAIRS): PAIRS}
    assert found.seeds["e1"]["seed"] == "77"
    assert found.dropped == frozenset()


def test_kernels_of_our_own_are_readable_and_lances_are_not_there(exported: Path) -> None:
    names = {path.name for path in (exported / "kernels").iterdir()}
    assert names == {
        f"{hash_bytes(FIRST)}.rs",
        f"{hash_bytes(DERIVED)}.delta",
        f"{hash_bytes(UPSTREAM)}.delta",
    }
    everything = b"".join(p.read_bytes() for p in exported.rglob("*") if p.is_file())
    assert b"let y = x" not in everything
    own_only = load_records(exported)
    assert set(own_only.kernels) == {hash_bytes(FIRST)}


def test_an_export_replaces_the_one_before(exported: Path) -> None:
    (exported / "kernels" / "stray.rs").write_text("x")
    with Ledger.open(exported.parents[1]) as ledger:
        export_campaign(ledger, "night", exported, UPSTREAM)
    assert load_records(exported, UPSTREAM).trials
    assert not (exported / "kernels" / "stray.rs").exists()
    assert [p.name for p in exported.parent.iterdir()] == ["night"]


def _edit(path: Path, old: bytes, new: bytes) -> None:
    data = path.read_bytes()
    assert old in data
    path.write_bytes(data.replace(old, new, 1))


def _readmit(exported: Path, path: str) -> None:
    """A careful forger puts the new digest into the list of files, too."""
    about = json.loads((exported / "campaign.json").read_bytes())
    about["files"][path] = hash_bytes((exported / path).read_bytes())
    (exported / "campaign.json").write_text(json.dumps(about))


def test_damage_names_the_file(exported: Path) -> None:
    table, kernels = exported / "trials.tsv", exported / "kernels"
    whole = {p: p.read_bytes() for p in exported.rglob("*") if p.is_file()}

    def refused(words: str) -> None:
        with pytest.raises(LedgerError, match=words):
            load_records(exported, UPSTREAM)
        for path, data in whole.items():
            path.write_bytes(data)

    own = kernels / f"{hash_bytes(FIRST)}.rs"
    _edit(own, b"scan8", b"scan9")
    refused(r"kernels/.*\.rs: damaged")
    own.unlink()
    refused(r"kernels/.*\.rs: missing")
    _edit(table, b"2.5", b"9.5")
    refused("trials.tsv: damaged")
    _edit(table, b"2.5", b"9.5")
    _readmit(exported, "trials.tsv")
    refused("trial 2: its digest does not match its content")
    table.write_bytes(b"\n".join(table.read_bytes().split(b"\n")[:1]) + b"\nx\n")
    _readmit(exported, "trials.tsv")
    refused("trials.tsv: damaged: line 2")
    (pair,) = (exported / "pairs").iterdir()
    pair.write_bytes(zlib.compress(PAIRS + b" "))
    _readmit(exported, f"pairs/{pair.name}")
    refused(r"pairs/.*: damaged")
    _edit(exported / "campaign.json", b'"v": 1', b'"v": 2')
    refused("format 2 is unknown")
    _edit(exported / "campaign.json", b'"seeds.json"', b'"../../etc/passwd"')
    refused("list of files is damaged")
    _edit(exported / "campaign.json", b'"origin": "upstream"', b'"origin": "champion"')
    refused("the campaign's digest does not match")
    about = json.loads((exported / "campaign.json").read_bytes())
    del about["files"][f"kernels/{own.name}"]
    (exported / "campaign.json").write_text(json.dumps(about))
    refused("is not among the files")
    with pytest.raises(LedgerError, match="another first kernel"):
        load_records(exported, UPSTREAM + b"// next release\n")
    assert load_records(exported, UPSTREAM).trials


def test_what_gc_dropped_is_named(exported: Path) -> None:
    with Ledger.open(exported.parents[1]) as ledger:
        ledger.drop_old_blobs(days=-1)
        export_campaign(ledger, "night", exported, UPSTREAM)
        with pytest.raises(UsageError, match="no campaign 'x'"):
            export_campaign(ledger, "x", exported, UPSTREAM)
    found = load_records(exported, UPSTREAM)
    assert found.dropped == {hash_bytes(FIRST)}
    assert hash_bytes(DERIVED) in found.kernels


# -- the verbs -----------------------------------------------------------------------------


def test_log_in_its_four_forms(
    exported: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LAR_ROOT", str(exported.parents[1]))
    assert log_verb.show_log() == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["id", "1", "2", "3"]
    assert "start over" in lines[3]
    log_verb.show_log(TARGET, json=True)
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(row["id"], row["verdict"], row["gain"]) for row in rows] == [
        (2, "keep", 2.5),
        (3, "revert", 2.5),
    ]
    log_verb.show_log(campaign="night", tsv=True)
    assert capsys.readouterr().out.startswith("commit\tgain\tstatus\tdescription\t")
    assert log_verb.show_log(verify=True) == 0
    assert "git witnesses 2 of 2" in capsys.readouterr().out


def test_verify_ends_in_70_where_the_chain_is_broken(
    exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sqlite3

    root = exported.parents[1]
    monkeypatch.setenv("LAR_ROOT", str(root))
    db = sqlite3.connect(root / ".lar" / "ledger.sqlite")
    db.execute("DROP TRIGGER trials_no_update")
    db.execute("UPDATE trials SET gain = 40 WHERE id = 3")
    db.commit()
    db.close()
    with pytest.raises(LedgerError, match=r"trial 3 .*does not match") as caught:
        log_verb.show_log(verify=True)
    assert caught.value.exit_code == 70


def test_status_tells_where_to_work(
    exported: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LAR_ROOT", str(exported.parents[1]))
    assert status_verb.show_status(json=True) == 0
    body = json.loads(capsys.readouterr().out)
    (night,) = body["campaigns"]
    assert night["trials"] == {"keep": 1, "revert": 1}
    assert night["champion"] == hash_bytes(DERIVED)
    assert night["edited"] is False
    Path(night["kernel"]).write_bytes(kernel(4))
    status_verb.show_status()
    out = capsys.readouterr().out
    assert "(edited, not judged yet)" in out
    assert "last      3 revert +2.50%" in out


def test_start_from_a_trial_or_the_champion(exported: Path) -> None:
    root = exported.parents[1]
    assert start_verb.resolve_beginning(root, TARGET, "3", "14.0.2") == (FIRST, "trial 3", 3)
    assert start_verb.resolve_beginning(root, TARGET, None, "14.0.2") == (DERIVED, "champion", 2)
    with pytest.raises(UsageError, match="no champion of release 15"):
        start_verb.resolve_beginning(root, TARGET, "champion", "15.0.0")
    with pytest.raises(UsageError, match="trial 1 is about fsst"):
        start_verb.resolve_beginning(root, TARGET, "1", "14.0.2")
    with pytest.raises(UsageError, match="cannot start from 'best'"):
        start_verb.resolve_beginning(root, TARGET, "best", "14.0.2")
