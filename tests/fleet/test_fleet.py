"""The fleet: what travels, who listens, cancellation, and rows that are written once."""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from agent_parts import (
    checkout_fixture,
    own_lock,  # noqa: F401
)
from team_parts import assert_whole, begin_toy, list_rows
from toy_delays import TOY, plant_delays, set_delay

from lance_autoresearch.campaign.coordinator import Story
from lance_autoresearch.cli.fleet import run_fleet
from lance_autoresearch.errors import MachineError, UsageError
from lance_autoresearch.fleet.job import FleetAnswer, FleetJob, make_job
from lance_autoresearch.judge.job import JudgedTrial
from lance_autoresearch.records import EpochFacts, Reason, ReasonKind, Results, Verdict
from lance_autoresearch.rules.policy import DEFAULT

distributed = pytest.importorskip("distributed")
from lance_autoresearch.fleet import cluster, slot  # noqa: E402
from lance_autoresearch.fleet.coordinate import FleetCoordinator  # noqa: E402
from lance_autoresearch.fleet.fan_out import judge_on_kinds  # noqa: E402

root = checkout_fixture("fleet")
LAR = str(Path(sys.executable).parent / "lar")
REFUSED = plant_delays().replace(b"pub fn blend", b"pub fn blond")


@contextlib.contextmanager
def threads_as_workers(*labels: str) -> Iterator[distributed.Client]:
    """A scheduler and a worker for each label inside this process: quick to start."""
    workers = {
        label: {"cls": distributed.Worker, "options": {
            "nthreads": 1, "resources": {label: 1}, "dashboard": False, "memory_limit": 0}}
        for label in labels
    }  # fmt: skip
    scheduler = {"cls": distributed.Scheduler, "options": {
        "host": "127.0.0.1", "port": 0, "protocol": "tcp", "dashboard": False}}  # fmt: skip
    with contextlib.ExitStack() as stack:
        made = stack.enter_context(distributed.SpecCluster(workers=workers, scheduler=scheduler))
        client = stack.enter_context(distributed.Client(made))
        client.wait_for_workers(len(labels))
        yield client


def job(kind: str, kernel: bytes = b"k") -> FleetJob:
    return make_job(kind, kernel, b"c", TOY, DEFAULT, "rules")


def judged(verdict: Verdict, reason: ReasonKind) -> JudgedTrial:
    why = Reason(reason)
    return JudgedTrial(verdict, why, Results(reason=why))


# -- what travels ------------------------------------------------------------------------------


def test_a_job_has_the_same_id_whenever_it_is_made() -> None:
    assert job("a") == job("a") and job("a").id != job("b").id != job("b", b"other").id
    assert job("a").id != make_job("a", b"k", b"c", TOY, DEFAULT, "other rules").id


def test_no_seed_of_a_living_epoch_is_in_an_answer() -> None:
    secret = 0x5EED_0123_4567_89AB
    whole = JudgedTrial(Verdict.REVERT, Reason(ReasonKind.SLOWER), Results(),
                        epochs=EpochFacts("e7", secret), burnt_seeds=(5,))
    sealed = slot.remove_secrets(whole)
    assert str(secret) in repr(whole) and str(secret) not in repr(sealed)
    assert pickle.dumps(secret)[3:-1] not in pickle.dumps(FleetAnswer("id", sealed))
    assert sealed.host["epoch"] == "e7" and sealed.burnt_seeds == (5,)


def test_nothing_of_dask_is_imported_by_other_verbs() -> None:
    code = ("import sys; import lance_autoresearch.cli.app, lance_autoresearch.cli.fleet, "
            "lance_autoresearch.cli.loop, lance_autoresearch.campaign.driving; "
            "sys.exit(any(name in sys.modules for name in ('dask', 'distributed')))")
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# -- who listens -------------------------------------------------------------------------------


def test_a_scheduler_without_certificates_listens_on_loopback_only(tmp_path: Path) -> None:
    assert cluster.choose_address(None, 8786, None) == "tcp://127.0.0.1:8786"
    with pytest.raises(UsageError, match="run code here"):
        cluster.choose_address("0.0.0.0", 8786, None)
    files = cluster.Certificates(*(tmp_path / name for name in ("ca", "cert", "key")))
    assert cluster.choose_address(None, 1, files).startswith("tls://")
    with pytest.raises(UsageError, match="together"):
        run_fleet("scheduler", tls_ca=tmp_path / "ca")


@pytest.mark.deep
def test_a_scheduler_that_does_not_answer_is_named() -> None:
    with pytest.raises(MachineError, match="no scheduler"):
        run_fleet("status", scheduler="tcp://127.0.0.1:1")


@pytest.mark.deep
def test_processes_of_a_fleet_listen_on_loopback_and_find_each_other(root: Path) -> None:
    psutil = pytest.importorskip("psutil")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    env = {**os.environ, "LAR_ROOT": str(root)}
    address = f"tcp://127.0.0.1:{port}"
    started = [subprocess.Popen([LAR, "fleet", *words], env=env, cwd=root) for words in (
        ("scheduler", "--port", str(port)), ("worker", "--scheduler", address))]
    try:
        until, shown = time.monotonic() + 40, ""
        while slot.name_slot() not in shown:
            assert time.monotonic() < until, "no worker came"
            shown = subprocess.run([LAR, "fleet", "status", "--scheduler", address], env=env,
                                   cwd=root, capture_output=True, text=True).stdout
        for process in started:
            listens = [c.laddr.ip for c in psutil.Process(process.pid).net_connections()
                       if c.status == psutil.CONN_LISTEN]
            assert listens and set(listens) <= {"127.0.0.1", "::1"}
    finally:
        for process in started:
            process.terminate()
            process.wait(20)


# -- one candidate, several kinds --------------------------------------------------------------


def test_kinds_that_have_not_begun_are_cancelled_at_the_first_loss(tmp_path: Path) -> None:
    def run(one: FleetJob) -> FleetAnswer:
        (tmp_path / one.kernel.decode()).write_text("begun")
        return FleetAnswer(one.id, judged(Verdict.REVERT, ReasonKind.SLOWER))

    jobs = [job("a", b"first"), *(job("a", f"later{n}".encode()) for n in range(20))]
    with threads_as_workers("a") as client:
        answers = judge_on_kinds(client, jobs, lambda _job, _answer: True, run)
        time.sleep(0.5)
        begun = len(list(tmp_path.iterdir()))
    assert len(answers) == 1 and begun < len(jobs), "all were judged"


def test_a_worker_that_raises_is_a_refusal_and_the_others_count() -> None:
    def run(one: FleetJob) -> FleetAnswer:
        if one.kind == "a":
            raise OSError("a broken disk")
        return FleetAnswer(one.id, judged(Verdict.KEEP, ReasonKind.CONFIRMED))

    with threads_as_workers("a", "b") as client:
        answers = {j.kind: a for j, a in judge_on_kinds(
            client, [job("a"), job("b")], lambda _job, _answer: False, run)}
    assert "a broken disk" in answers["a"].refusal and answers["a"].judged is None
    assert answers["b"].judged is not None


def test_a_candidate_is_one_row_with_its_kinds_and_is_judged_once(root: Path, monkeypatch) -> None:
    monkeypatch.setenv("LAR_ROOT", str(root))
    mine = begin_toy(root)
    with threads_as_workers("a", "b") as client, FleetCoordinator(
        root, TOY, client=client, kinds=("a", "b"), champion=mine.read_champion()
    ) as coordinator:
        done = coordinator.attempt(REFUSED, Story("a wrong name"), mine)
        again = coordinator.attempt(REFUSED, Story("a wrong name"), mine)
    (row,) = list_rows(mine)
    assert done.record.verdict is Verdict.REJECTED and row.record.results.kinds
    assert row.record.results.kinds[0].verdict is Verdict.REJECTED
    assert again.remembered and again.number == done.number
    assert_whole(mine)


def test_a_worker_with_other_rules_is_refused_and_nothing_is_kept(root: Path, monkeypatch) -> None:
    monkeypatch.setenv("LAR_ROOT", str(root))
    mine = begin_toy(root)
    monkeypatch.setattr(FleetCoordinator, "make_jobs", lambda self, text: [
        make_job("a", text, self.champion_text, TOY, self.policy, "0" * 64)])
    faster = set_delay(plant_delays(), "BLEND", 0)
    with threads_as_workers("a") as client, FleetCoordinator(
        root, TOY, client=client, kinds=("a",), champion=mine.read_champion()
    ) as coordinator, pytest.raises(MachineError, match="other rules"):
        coordinator.attempt(faster, Story(), mine)
    assert not list_rows(mine)


def test_a_kind_without_a_worker_is_named(root: Path) -> None:
    with threads_as_workers("a") as client, pytest.raises(UsageError, match="no worker of zen9"):
        FleetCoordinator(root, TOY, client=client, kinds=("a", "zen9"))


@pytest.mark.deep
def test_a_job_of_a_worker_that_died_is_run_again_and_has_one_answer(
    root: Path, tmp_path: Path
) -> None:
    """A real process, killed in mid-trial; its keeper starts another one."""
    log = tmp_path / "begun"

    def run(one: FleetJob) -> FleetAnswer:
        with log.open("a") as file:
            print(os.getpid(), file=file)
        time.sleep(3.0)
        return FleetAnswer(one.id, judged(Verdict.REVERT, ReasonKind.NO_GAIN))

    with cluster.open_local_fleet(root, ("native",)) as client:
        (label,) = cluster.list_slots(client)
        killer = threading.Thread(target=kill_first, args=(log,))
        killer.start()
        answers = judge_on_kinds(client, [job(label)], lambda _job, _answer: False, run)
        killer.join()
    first, second = log.read_text().split()
    assert first != second and len(answers) == 1
    assert answers[0][1].judged is not None, answers[0][1].refusal


def kill_first(log: Path) -> None:
    """Kill the first worker that notes its process there."""
    until = time.monotonic() + 30
    while not log.exists() or not log.read_text().strip():
        assert time.monotonic() < until, "no worker began"
        time.sleep(0.05)
    os.kill(int(log.read_text().split()[0]), signal.SIGKILL)


@pytest.mark.deep
def test_three_workers_of_this_machine_play_kinds_by_tier(root: Path) -> None:
    """Processes of their own; the verdict on a refused kernel comes from one of them."""
    mine = begin_toy(root)
    with cluster.open_local_fleet(root, ("native", "avx2", "scalar")) as client:
        slots = cluster.list_slots(client)
        assert len(slots) == 3 and {name.partition("@")[2] for name in slots} == {
            "", "avx2", "scalar"}
        with FleetCoordinator(
            root, TOY, client=client, kinds=sorted(slots), champion=mine.read_champion()
        ) as coordinator:
            done = coordinator.attempt(REFUSED, Story(), mine)
    assert done.record.verdict is Verdict.REJECTED and len(list_rows(mine)) == 1
