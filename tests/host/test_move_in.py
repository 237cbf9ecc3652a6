"""Many processes that make the same directory: one is kept, none fails."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from lance_autoresearch.host.move_in import move_in

RACER = """
import sys, tempfile
from pathlib import Path
from lance_autoresearch.host.move_in import move_in
shelf, rounds = Path(sys.argv[1]), int(sys.argv[2])
sys.stdin.readline()
for i in range(rounds):
    fresh = Path(tempfile.mkdtemp(dir=shelf))
    (fresh / "product").write_text("x" * 1000)
    home = shelf / "keys" / str(i)
    move_in(fresh, home, complete=(home / "product").is_file)
    assert (home / "product").stat().st_size == 1000
"""


def test_racers_all_succeed(tmp_path: Path) -> None:
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", RACER, str(tmp_path), "300"],
            stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for _ in range(4)
    ]  # fmt: skip
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("go\n")
        racer.stdin.flush()
    errors = [racer.communicate()[1] for racer in racers]
    assert errors == [""] * 4
    assert sorted(p.name for p in tmp_path.iterdir()) == ["keys"], "nobody's leftovers stay"
    assert len(list((tmp_path / "keys").glob("*/product"))) == 300


def test_an_incomplete_home_is_replaced_and_a_complete_one_stays(tmp_path: Path) -> None:
    home = tmp_path / "home"
    for text, kept in (("first", "first"), ("second", "first")):
        fresh = tmp_path / "fresh"
        fresh.mkdir()
        (fresh / "product").write_text(text)
        if text == "first":
            home.mkdir()
            (home / "half").write_text("left by a killed process")
        move_in(fresh, home, complete=(home / "product").is_file)
        assert (home / "product").read_text() == kept
        assert [p.name for p in home.iterdir()] == ["product"]
        assert not fresh.exists()
