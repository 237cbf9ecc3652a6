"""The red team's generator: its kernels compile, and Rust and Python agree on where they are wrong.

How many are kept is no test: `make red` counts them, docs/results/red.md has the table.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import threats
from red_calls import Surface, read_surface
from red_kernels import Effect, list_slow, list_wrong, write_kernel
from red_kinds import Bin, Harm, Kind, Stage
from red_mutants import Generator, draw_region
from red_record import Row, Series, parse_rows, tabulate
from red_regions import EVERYWHERE, Region, list_states
from red_space import World, draw_many
from red_trials import RedBench
from red_twins import read_twins, write_twin
from tiers import fast_for

from lance_autoresearch.bench.pools import Pool, write_pool
from lance_autoresearch.build.builder import build_kernel
from lance_autoresearch.errors import UsageError
from lance_autoresearch.judge.admission import admit
from lance_autoresearch.targets import catalogue
from lance_autoresearch.targets.champion import read_champion
from lance_autoresearch.targets.spec import Call, Combo

ROOT = Path(__file__).resolve().parents[2]
TARGETS = catalogue.list_targets(ROOT, hidden=True)
DRAWS = 60
SEED = 5


@pytest.fixture(scope="module", params=fast_for(TARGETS, "_toy"))
def bench(request: pytest.FixtureRequest) -> Iterator[RedBench]:
    with RedBench(ROOT, request.param) as opened:
        yield opened


@pytest.fixture(scope="module")
def world(bench: RedBench) -> World:
    return bench.look(DRAWS, SEED)


def all_effects(surface: Surface) -> Effect:
    """Every effect of an op in one kernel: it is compiled, not run."""
    effects = [*list_wrong(surface), *list_slow(surface)]
    assert len(effects) >= 5
    after = "\n".join(f"{{ {e.after} }}" for e in effects)
    return Effect(Harm.WRONG, "all", "\n".join(e.before for e in effects), after)


def test_every_effect_of_every_op_compiles_and_is_admitted(bench: RedBench, world: World) -> None:
    for surface in world.surfaces.values():
        calls = world.drawn[surface.op]
        regions = [r for kind in Kind for r in [draw_some(kind, surface, calls)] if r is not None]
        everywhere = Region(tuple(c for region in regions for c in region.tests))
        target = bench.bench.target
        text = write_kernel(bench.champion, target, surface, everywhere, all_effects(surface))
        end = bench.check(text)
        assert end.stage != Stage.REFUSED, end.detail


def draw_some(kind: Kind, surface: Surface, calls, seed: int = 0) -> Region | None:
    rng = random.Random(seed)
    found = (draw_region(rng, kind, surface, calls, 0.2) for _ in range(30))
    return next((region for region in found if region is not None), None)


def test_rust_and_python_agree_on_every_kind_of_region(
    bench: RedBench, world: World, tmp_path: Path
) -> None:
    """A kernel that panics with what it decides, on calls whose regions Python knows."""
    for i, surface in enumerate(world.surfaces.values()):
        calls = world.drawn[surface.op]
        kinds = (Kind.INTERVAL, Kind.PRODUCT, Kind.RESIDUE, Kind.DATA, Kind.DATA, Kind.MIXED)
        drawn = [draw_some(kind, surface, calls, s) for kind in kinds for s in range(6)]
        regions = [r for r in drawn if r is not None]
        text = write_probe(bench, surface, regions)
        library = bench.bench.build(text).so
        seen, called = set(), 0
        for call in draw_calls(bench, surface.op, 12, seed=i):
            views = surface.look(call)
            want = [r.contains(views[:1]) for r in regions]
            pool = make_pool(bench, tmp_path, surface.op, [call])
            fault = bench.bench.check_library(library, "native", [pool]).fault
            if fault is None:
                continue  # a contract may answer without the op
            called += 1
            found = re.search(r"red ([01]+)", fault.note or "")
            assert found is not None, fault
            assert [bit == "1" for bit in found[1]] == want
            seen |= {(n, inside) for n, inside in enumerate(want)}
        assert called >= 6
        assert len(seen) > 1.2 * len(regions), "most regions were seen from one side only"


def write_probe(bench: RedBench, surface: Surface, regions: list[Region]) -> bytes:
    bits = ", ".join(f"u8::from({r.rust})" for r in regions)
    text = f"""let bits = [{bits}];
        let text: String = bits.iter().map(|bit| char::from(b'0' + bit)).collect();
        panic!("red {{text}}");"""
    effect = Effect(Harm.WRONG, "probe", before=text)
    return write_kernel(bench.champion, bench.bench.target, surface, EVERYWHERE, effect)


def draw_calls(bench: RedBench, op: str, count: int, seed: int) -> list[Call]:
    rng, target = np.random.default_rng(seed), bench.bench.target
    cases = [case for case in draw_many(target, seed, count) if case.op == op][:count]
    made = bench.bench.inputs.maker
    return [c for x in cases for c in target.inputs(op, x.shape, x.dist, rng, 1, made)]


def make_pool(bench: RedBench, folder: Path, op: str, calls: list[Call]) -> Pool:
    combo = Combo(op, {"n": len(calls)}, "of the test", len(calls))
    pool = Pool(combo, folder / "x.pool", folder / "x.expected")
    write_pool(pool.path, bench.bench.target, combo, calls)
    bench.bench.inputs.write_expected(pool)
    return pool


def test_a_wrong_kernel_is_found_by_cases_inside_and_by_no_others(tmp_path: Path) -> None:
    with RedBench(ROOT, "_toy") as bench:
        world = bench.look(300, SEED)
        generator = Generator(world, {Harm.WRONG: bench.honest(Harm.WRONG)}, SEED)
        for number in range(2):
            one = generator.draw(number, Bin.LARGE, Harm.WRONG)
            assert one is not None and Bin.LARGE.holds(one.measure)
            surface, library = world.surfaces[one.op], bench.bench.build(one.text).so
            calls = draw_calls(bench, one.op, 400, seed=number)
            calls = [c for c in calls if len(c.args[0])]
            inside = [c for c in calls if one.region.contains(surface.look(c))]
            outside = [c for c in calls if not one.region.contains(surface.look(c))]
            assert len(inside) > 2 and len(outside) > 200
            pool = make_pool(bench, tmp_path, one.op, inside)
            assert bench.bench.check_library(library, "native", [pool]).fault is not None
            pool = make_pool(bench, tmp_path, one.op, outside)
            assert bench.bench.check_library(library, "native", [pool]).fault is None


def test_a_kernel_that_is_wrong_everywhere_is_refused(bench: RedBench, world: World) -> None:
    surface = next(iter(world.surfaces.values()))
    effect = next(list_wrong(surface))
    text = write_kernel(bench.champion, bench.bench.target, surface, EVERYWHERE, effect)
    assert bench.check(text).stage in (Stage.FIXED, Stage.DRAWN)  # their order is drawn


def test_the_same_seed_gives_the_same_kernels() -> None:
    with RedBench(ROOT, "_toy") as bench:
        honest = {Harm.WRONG: bench.honest(Harm.WRONG)}
        texts = []
        for order in ((0, 1, 2), (2, 1, 0)):
            generator = Generator(bench.look(200, SEED), honest, 3)
            drawn = [generator.draw(number, Bin.MIDDLE, Harm.WRONG) for number in order]
            texts.append([one.text for one in drawn if one is not None])
    assert texts[0] == texts[1][::-1] and len(set(texts[0])) == 3


def test_a_region_of_places_or_calls_has_the_share_of_its_classes() -> None:
    from red_regions import Condition

    quantity = next(list_states(50))
    region = Region((Condition(quantity, 3, 5),))
    assert region.nominal == 2 / 50 and region.measure([[{}]]) == 2 / 50


def row(stage: str, measure: float, number: int = 0) -> Row:
    return Row("hamming", number, "wrong", "1 to 3 %", "hamming", "interval", "size", measure,
               "3 <= n < 5", "one bit", stage, "mismatch hamming 7", 1.5)  # fmt: skip


def test_kernels_that_a_fixed_case_refuses_do_not_count() -> None:
    ends = [("kept", 0.02), ("drawn case", 0.02), ("fixed case", 0.02), ("refused", 0.02),
            ("inconclusive", 0.02), ("kept", 0.0015), ("distinct", 0.0015)]  # fmt: skip
    assert tabulate([row(*end) for end in ends], Harm.WRONG) == [
        ("1 to 3 %", "5", "2", "2", "drawn case 1", "1", "50.0 %"),
        ("0.1 to 0.2 %", "2", "0", "2", "distinct 1", "1", "50.0 %"),
    ]


def test_a_series_goes_on_and_refuses_another_command(tmp_path: Path) -> None:
    path = tmp_path / "x.tsv"
    Series.begin(path, "zen3, this command").add(row("kept", 0.012345678))
    again = Series.begin(path, "zen3, this command")
    again.add(row("drawn case", 0.5, 1))
    assert parse_rows(path.read_text()) == again.rows and len(again.rows) == 2
    with pytest.raises(UsageError):
        Series.begin(path, "zen3, another")
    with pytest.raises(UsageError):
        parse_rows(path.read_text() + "nonsense\n")


TWINS = read_twins()
QUICK = ("vectors-97-to-191", "k-in-32-bits", "offsets-in-33-bits")


def test_every_twin_names_a_row_of_the_catalogue() -> None:
    known = {number for threat in threats.threats() for number in threats.numbers(threat)}
    assert {twin.row for twin in TWINS} <= known
    assert len(TWINS) > 90


@pytest.mark.parametrize("name", fast_for([twin.name for twin in TWINS], *QUICK))
def test_a_twin_is_a_kernel_that_admission_accepts(name: str) -> None:
    twin = next(twin for twin in TWINS if twin.name == name)
    target = catalogue.load_target(ROOT, twin.target)
    honest = read_champion(ROOT, twin.target)
    assert honest is not None
    surface = read_surface(honest, ROOT, twin.target, twin.op)
    text = write_twin(twin, honest, target, surface)
    admit(text)
    assert build_kernel(ROOT, twin.target, text).digest
