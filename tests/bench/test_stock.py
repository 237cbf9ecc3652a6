"""Draws made ahead: each is taken once, half-made ones go, and their number is bounded."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lance_autoresearch.bench.bench import Bench
from lance_autoresearch.bench.stock import AHEAD, Stock
from lance_autoresearch.rules.policy import DRAWS

ROOT = Path(__file__).resolve().parents[2]
KILLED = """
import sys, time
from pathlib import Path
from lance_autoresearch.bench.stock import Stock

def make(place):
    place.mkdir()
    (place / "000.pool").write_bytes(b"half")
    print("half", flush=True)
    time.sleep(60)
    return 1

Stock(Path(sys.argv[1])).fill(make)
"""


def write_draw(place: Path, seed: int = 7) -> int:
    place.mkdir()
    (place / "000.pool").write_bytes(b"whole")
    return seed


def test_a_stock_is_filled_to_its_bound_and_each_draw_is_taken_once(tmp_path: Path) -> None:
    stock, seeds = Stock(tmp_path), iter(range(1, 100))
    assert stock.take(tmp_path / "none") is None
    assert stock.fill(lambda place: write_draw(place, next(seeds))) == DRAWS.ahead
    assert stock.fill(write_draw) == 0, "it is full"
    taken = [stock.take(tmp_path / f"taken-{i}") for i in range(DRAWS.ahead + 1)]
    assert sorted(taken[:-1]) == list(range(1, DRAWS.ahead + 1)) and taken[-1] is None
    assert (tmp_path / "taken-0" / "000.pool").read_bytes() == b"whole"
    assert stock.count_ready() == 0


def test_a_killed_maker_leaves_no_draw_and_its_half_is_removed(tmp_path: Path) -> None:
    stock = Stock(tmp_path)
    maker = subprocess.Popen([sys.executable, "-c", KILLED, tmp_path], stdout=subprocess.PIPE)
    assert maker.stdout is not None and maker.stdout.readline() == b"half\n"
    assert stock.is_being_filled()
    assert stock.fill(write_draw) == 0, "one maker at a time"
    assert stock.take(tmp_path / "early") is None, "half a draw is none"
    begun = time.monotonic()
    assert stock.wait(tmp_path / "early", 0.3) is None and time.monotonic() - begun < 5
    maker.send_signal(signal.SIGKILL)
    maker.wait()
    maker.stdout.close()
    assert not stock.is_being_filled()
    assert len(list((tmp_path / "stock").glob("half-*"))) == 1
    assert stock.wait(tmp_path / "early", 60) is None, "nobody makes one: no waiting"
    assert stock.fill(write_draw) == DRAWS.ahead
    assert not list((tmp_path / "stock").glob("half-*"))


def test_a_failure_leaves_the_stock_free(tmp_path: Path) -> None:
    stock = Stock(tmp_path)

    def fail(place: Path) -> int:
        place.mkdir()
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space"):
        stock.fill(fail)
    assert not stock.is_being_filled() and stock.count_ready() == 0


def test_an_epoch_that_is_over_gets_no_more_draws(tmp_path: Path) -> None:
    young = iter((True, False))
    assert Stock(tmp_path).fill(write_draw, wanted=lambda: next(young)) == 1


def test_nothing_is_made_ahead_if_the_user_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(AHEAD, "0")
    assert not Stock(tmp_path).start_maker(ROOT, "_toy", "key")


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setenv(AHEAD, "1")
    with Bench(ROOT, "_toy") as opened:
        yield opened


def test_a_process_of_its_own_fills_the_stock_of_an_epoch(bench: Bench) -> None:
    """The real one: it starts with a trial, its draws are whole, and a confirmation takes one."""
    bench.begin_trial()
    stock = Stock(bench.inputs.epoch.directory)
    end = time.monotonic() + 240
    while stock.count_ready() == 0:
        assert time.monotonic() < end, list(bench.inputs.epoch.directory.iterdir())
        time.sleep(0.2)
    with bench.inputs.take_draw() as (pools, seed):
        assert seed > 0
        assert sum(len(pool.cases) for pool in pools) == 2 * DRAWS.full_cases
        oracle = bench.build(bench.first_kernel).so
        assert bench.check_library(oracle, "native", pools).fault is None
        place = pools[0].path.parent
    assert not place.exists(), "a draw is used once"
