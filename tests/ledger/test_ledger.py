"""The ledger keeps every row, refuses changes, and shows the ones made behind its back."""

from __future__ import annotations

import math
import re
import sqlite3
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from campaign_parts import FIRST, TARGET, kernel, record
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lance_autoresearch.errors import LedgerError, UsageError
from lance_autoresearch.judge.job import make_memory_key
from lance_autoresearch.ledger import (
    GENESIS,
    Ledger,
    find_ledger_path,
    hash_bytes,
    seal_seed,
)
from lance_autoresearch.records import NoiseSession, Reason, ReasonKind, Results, Verdict
from lance_autoresearch.rules.policy import Policy


def filled(root: Path, trials: int = 5) -> Ledger:
    ledger = Ledger.open(root)
    ledger.add_noise(NoiseSession(TARGET, hash_bytes(FIRST), "boot", (0.004, 0.003), 0.0001))
    for n in range(trials):
        ledger.append(record(kernel(n), FIRST), blobs={"kernel": kernel(n)})
    return ledger


def by_hand(root: Path, *statements: str) -> None:
    """What a person with the sqlite3 command could do: drop the fences, then edit."""
    db = sqlite3.connect(find_ledger_path(root))
    for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        db.execute(f"DROP TRIGGER {name}")
    for statement in statements:
        assert db.execute(statement).rowcount > 0
    db.commit()
    db.close()


# -- rows come back ------------------------------------------------------------------------


def test_a_record_comes_back_as_it_was(tmp_path: Path) -> None:
    given_record = record(kernel(1), FIRST, Verdict.KEEP, campaign="c", parent=None, tokens=12)
    with Ledger.open(tmp_path) as ledger:
        number = ledger.append(given_record, judged="key", commit="ab" * 20)
        row = ledger.get_trial(number)
    assert row.record == given_record
    assert (row.id, row.judged, row.commit, row.prev) == (1, "key", "ab" * 20, GENESIS)


texts = st.text(st.characters(codec=None), max_size=40)
floats = st.one_of(st.none(), st.floats())


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    text=texts,
    gain=floats,
    predicted=st.none() | st.floats(allow_nan=False, allow_infinity=False),
    seeds=st.lists(st.integers(0, 2**80), max_size=3),
)
def test_whatever_a_trial_says_the_chain_still_verifies(
    tmp_path: Path, text: str, gain: float | None, predicted: float | None, seeds: list[int]
) -> None:
    results = Results(Reason(ReasonKind.REFUSED, about=text, detail=text), predicted=predicted)
    unknown = record(
        FIRST, FIRST, hypothesis=text, gain=gain, results=results, burnt_seeds=tuple(seeds)
    )
    with Ledger.open(tmp_path) as ledger:
        row = ledger.get_trial(ledger.append(unknown))
        assert ledger.verify_chain().fault is None
    assert row.record.burnt_seeds == tuple(seeds)
    assert row.record.gain == (gain if gain is not None and math.isfinite(gain) else None)


def test_numpy_numbers_and_negative_zero(tmp_path: Path) -> None:
    import numpy as np

    results = Results(checked=np.int64(3), predicted=np.float32(0.5))  # type: ignore[arg-type]
    odd = record(FIRST, FIRST, gain=np.float64(-0.0), results=results)
    with Ledger.open(tmp_path) as ledger:
        row = ledger.get_trial(ledger.append(odd))
        assert ledger.verify_chain().fault is None
    assert (row.record.results.checked, row.record.results.predicted) == (3, 0.5)


def test_trials_are_found_by_target_campaign_verdict(tmp_path: Path) -> None:
    with Ledger.open(tmp_path) as ledger:
        for n, verdict in enumerate([Verdict.KEEP, Verdict.REVERT, Verdict.KEEP]):
            ledger.append(record(kernel(n), FIRST, verdict, campaign=f"c{n % 2}"))
        ledger.append(record(kernel(9), FIRST, target="fsst"))
        assert [r.id for r in ledger.list_trials()] == [1, 2, 3, 4]
        assert [r.id for r in ledger.list_trials(target=TARGET, limit=2)] == [2, 3]
        assert [r.id for r in ledger.list_trials(campaign="c0", after=1)] == [3]
        assert [r.id for r in ledger.list_trials(verdict=Verdict.KEEP)] == [1, 3]
        assert ledger.count_verdicts() == {"keep": 2, "revert": 2}
        with pytest.raises(UsageError, match="no trial 5"):
            ledger.get_trial(5)


def test_what_was_judged_is_answered_unless_the_machine_failed(tmp_path: Path) -> None:
    key = make_memory_key("code", "champion", "contract", Policy(), "rustc", "Zen 4")
    other = Policy(margin=0.01)
    assert key != make_memory_key("code", "champion", "contract", other, "rustc", "Zen 4")
    with Ledger.open(tmp_path) as ledger:
        assert ledger.find_judged(key) is None
        ledger.append(record(FIRST, FIRST, Verdict.INCONCLUSIVE), judged=key)
        assert ledger.find_judged(key) is None
        number = ledger.append(record(FIRST, FIRST), judged=key)
        ledger.append(record(FIRST, FIRST))
        found = ledger.find_judged(key)
        assert found is not None
        assert found.id == number
        assert ledger.find_judged("") is None


def test_sessions_and_epochs(tmp_path: Path) -> None:
    with Ledger.open(tmp_path) as ledger:
        noise = NoiseSession(TARGET, "c", "boot", (0.004, 0.003), -0.0, key="k")
        ledger.add_noise(noise)
        assert ledger.find_noise(TARGET, "c", "boot", key="k") == noise
        assert [row.noise for row in ledger.list_sessions(TARGET)] == [noise]
        assert ledger.find_noise(TARGET, "c", "other boot", key="k") is None
        assert ledger.find_noise(TARGET, "c", "boot", key="k", hours=-1) is None
        ledger.open_epoch(TARGET, "e1", secret=7)
        assert ledger.list_epochs(TARGET)[0].seed is None
        assert ledger.list_epochs(TARGET)[0].seal == seal_seed(TARGET, "e1", "7")
        with pytest.raises(LedgerError, match="not the one it began with"):
            ledger.end_epoch(TARGET, "e1", 8)
        ledger.end_epoch(TARGET, "e1", 7)
        ledger.end_epoch(TARGET, "e1", 7)
        assert ledger.list_epochs(TARGET)[0].seed == "7"
        assert ledger.verify_chain().fault is None


# -- nothing is changed --------------------------------------------------------------------


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE trials SET gain = 99",
        "DELETE FROM trials WHERE id = 5",
        "UPDATE sessions SET bias = 0",
        "DELETE FROM sessions",
        "INSERT OR REPLACE INTO trials SELECT * FROM trials WHERE id = 3",
        "UPDATE OR REPLACE trials SET verdict = 'keep'",
        "UPDATE blobs SET bytes = x'00'",
    ],
)
def test_changes_are_refused(tmp_path: Path, statement: str) -> None:
    filled(tmp_path).close()
    db = sqlite3.connect(find_ledger_path(tmp_path))
    with pytest.raises(sqlite3.IntegrityError, match=r"append-only|never changed"):
        db.execute(statement)
    db.close()


EDITS = {
    "verdict": ("UPDATE trials SET verdict = 'keep' WHERE id = 3", "trial 3 .*does not match"),
    "gain": ("UPDATE trials SET gain = 2.6 WHERE id = 2", "trial 2 .*does not match"),
    "json": ("UPDATE trials SET numbers = '{}' WHERE id = 4", "trial 4 .*does not match"),
    "session": ("UPDATE sessions SET bias = 0 WHERE id = 1", "session 1 .*does not match"),
    "middle": ("DELETE FROM trials WHERE id = 3", "row 4 of the chain is missing"),
    "first": ("DELETE FROM sessions", "row 1 of the chain is missing"),
    "number": ("UPDATE trials SET seq = 60 WHERE id = 5", "row 6 of the chain is missing"),
}


@pytest.mark.parametrize("edit", EDITS)
def test_tampering_names_the_first_broken_row(tmp_path: Path, edit: str) -> None:
    statement, expected = EDITS[edit]
    filled(tmp_path).close()
    by_hand(tmp_path, statement)
    with Ledger.open(tmp_path) as ledger:
        fault = ledger.verify_chain().fault
    assert fault is not None
    assert re.search(expected, fault)


def test_the_chain_alone_stops_a_gain_written_by_hand(tmp_path: Path) -> None:
    """Who only reads rows believes it; who walks the chain learns where."""
    with filled(tmp_path) as ledger:
        lost = ledger.append(record(kernel(9), FIRST, Verdict.REVERT))
    by_hand(tmp_path, f"UPDATE trials SET verdict = 'keep', gain = 40.0 WHERE id = {lost}")
    with Ledger.open(tmp_path) as ledger:
        seen = ledger.get_trial(lost).record
        assert (seen.verdict, seen.gain) == (Verdict.KEEP, 40.0)
        assert f"trial {lost} " in str(ledger.verify_chain().fault)


def test_a_row_with_a_digest_of_its_own_breaks_the_next(tmp_path: Path) -> None:
    from lance_autoresearch.ledger import chain

    filled(tmp_path).close()
    db = sqlite3.connect(find_ledger_path(tmp_path))
    forged = next(v for t, v in chain.walk_rows(db) if t == "trials" and v["id"] == 2)
    db.close()
    forged["gain"] = 50.0
    digest = chain.hash_row("trials", forged)
    by_hand(tmp_path, f"UPDATE trials SET gain = 50.0, digest = '{digest}' WHERE id = 2")
    with Ledger.open(tmp_path) as ledger:
        assert "trial 3" in str(ledger.verify_chain().fault)


def test_missing_fences_show(tmp_path: Path) -> None:
    filled(tmp_path).close()
    by_hand(tmp_path)
    with Ledger.open(tmp_path) as ledger:
        assert "CREATE TRIGGER" in str(ledger.verify_chain().fault)


def test_rows_cut_off_at_the_end_show_where_git_remembers(tmp_path: Path) -> None:
    with filled(tmp_path) as ledger:
        head = ledger.read_head()
        number = ledger.append(record(kernel(7), FIRST, Verdict.KEEP), commit="cd" * 20)
        witnesses = {"cd" * 20: head}
        assert ledger.verify_chain(witnesses).fault is None
        assert ledger.verify_chain(witnesses).witnessed == 1
    by_hand(tmp_path, f"DELETE FROM trials WHERE id = {number}")
    with Ledger.open(tmp_path) as ledger:
        assert "rows after 6 are missing" in str(ledger.verify_chain(witnesses).fault)


# -- blobs ---------------------------------------------------------------------------------


def test_blobs_come_back_and_damage_shows(tmp_path: Path) -> None:
    with Ledger.open(tmp_path) as ledger:
        name = ledger.put_blob(FIRST)
        assert ledger.put_blob(FIRST) == name == hash_bytes(FIRST)
        assert ledger.get_blob(name) == FIRST
        with pytest.raises(LedgerError, match="not in the ledger"):
            ledger.get_blob("00" * 32)
    by_hand(tmp_path, "UPDATE blobs SET bytes = x'789c030000000001'")
    with Ledger.open(tmp_path) as ledger, pytest.raises(LedgerError, match="damaged"):
        ledger.get_blob(name)


def test_gc_drops_blobs_only_and_never_a_kept_kernel(tmp_path: Path) -> None:
    with Ledger.open(tmp_path) as ledger:
        kept = ledger.append(record(kernel(1), FIRST, Verdict.KEEP), blobs={"kernel": kernel(1)})
        lost = ledger.append(record(kernel(2), kernel(1)), blobs={"kernel": kernel(2)})
        assert ledger.drop_old_blobs(days=1) == []
        would = ledger.drop_old_blobs(days=-1, dry_run=True)
        assert ledger.find_blob(hash_bytes(kernel(2))) is not None
        dropped = ledger.drop_old_blobs(days=-1)
        assert [b.sha256 for b in dropped] == [b.sha256 for b in would] == [hash_bytes(kernel(2))]
        assert ledger.find_blob(hash_bytes(kernel(2))) is None
        assert ledger.get_blob(ledger.get_trial(kept).record.kernel) == kernel(1)
        assert ledger.get_trial(lost).record.kernel == hash_bytes(kernel(2))
        assert ledger.verify_chain().fault is None


# -- other files, other processes, full disks ----------------------------------------------


def test_an_unknown_version_is_refused(tmp_path: Path) -> None:
    filled(tmp_path).close()
    db = sqlite3.connect(find_ledger_path(tmp_path))
    db.execute("PRAGMA user_version = 9")
    db.close()
    with pytest.raises(LedgerError, match="format 9; this release reads and writes 1"):
        Ledger.open(tmp_path)


def test_what_is_no_ledger_is_refused(tmp_path: Path) -> None:
    path = find_ledger_path(tmp_path)
    path.parent.mkdir()
    path.write_bytes(b"hello, this is no database at all, sorry" * 100)
    with pytest.raises(LedgerError, match="not a ledger"):
        Ledger.open(tmp_path)
    path.unlink()
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE mine (x)")
    db.close()
    with pytest.raises(LedgerError, match="not a ledger"):
        Ledger.open(tmp_path)


WRITER = """
    import sys
    from pathlib import Path
    from campaign_parts import FIRST, kernel, record
    from lance_autoresearch.ledger import Ledger
    with Ledger.open(Path(sys.argv[1])) as ledger:
        for n in range(40):
            ledger.append(record(kernel(n), FIRST, agent=sys.argv[2]), blobs={"kernel": kernel(n)})
"""


def test_processes_write_at_the_same_time(tmp_path: Path) -> None:
    here = str(Path(__file__).parents[1])
    script = f"import sys; sys.path.insert(0, {here!r})\n" + textwrap.dedent(WRITER)
    running = [
        subprocess.Popen([sys.executable, "-c", script, str(tmp_path), f"agent {i}"])
        for i in range(4)
    ]
    assert [process.wait() for process in running] == [0] * 4
    with Ledger.open(tmp_path) as ledger:
        assert ledger.verify_chain().fault is None
        rows = ledger.list_trials()
    assert [row.id for row in rows] == list(range(1, 161))
    assert len({row.record.agent for row in rows}) == 4


def test_a_full_disk_loses_nothing_and_names_the_mend(tmp_path: Path) -> None:
    with filled(tmp_path) as ledger:
        (pages,) = ledger._db.execute("PRAGMA page_count").fetchone()
        ledger._db.execute(f"PRAGMA max_page_count = {pages + 4}")
        big = bytes(range(256)) * 16 + hash_bytes(b"x").encode()
        with pytest.raises(LedgerError) as caught:
            for n in range(100):
                noise = b"".join(hash_bytes(b"%d %d" % (n, i)).encode() for i in range(200))
                ledger.append(record(noise, FIRST), blobs={"kernel": noise, "pairs": big})
        assert "full" in caught.value.what
        assert "lar gc" in str(caught.value.next)
        rows = ledger.list_trials()
        assert ledger.verify_chain().fault is None
        assert all(ledger.find_blob(row.record.kernel) is not None for row in rows)
        ledger._db.execute("PRAGMA max_page_count = 100000")
        assert ledger.append(record(kernel(8), FIRST)) == len(rows) + 1
        assert ledger.verify_chain().fault is None


def test_a_transaction_is_whole_or_nothing(tmp_path: Path) -> None:
    with Ledger.open(tmp_path) as ledger:
        with pytest.raises(RuntimeError), ledger.open_transaction():
            ledger.put_blob(FIRST)
            ledger.append(record(FIRST, FIRST))
            raise RuntimeError
        assert ledger.list_trials() == []
        assert ledger.list_blobs() == []
        assert ledger.read_head() == GENESIS
