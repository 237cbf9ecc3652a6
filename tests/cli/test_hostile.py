"""Every command in hostile surroundings: a documented exit code, no traceback."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from campaign_parts import TARGET, checkout
from checkout_parts import interruptible, take_products
from night_parts import small_night
from tiers import fast_for

ROOT = Path(__file__).resolve().parents[2]
LAR = Path(sys.executable).parent / "lar"
DOCUMENTED = {0, 1, 2, 3, 4, 64, 130, 141}
COMMANDS = (
    ("status",), ("status", "--json"), ("log",), ("log", "--json"), ("log", "--tsv"),
    ("log", "--verify"), ("targets",), ("report", TARGET), ("lessons", TARGET), ("gc",),
    ("doctor",), ("--help",), ("try", "--help"), ("try", TARGET), ("bench", "ham"), ("diff", "1"),
    ("start", TARGET, "--from", "99"), ("loop", TARGET, "--resume"), ("rejudge", "nowhere.json"),
    ("replay", "99"), ("validate", "ham"), ("new", "x"), ("calibrate", "ham"), ("nonsense",),
)  # fmt: skip
SURROUNDINGS = {
    "few descriptors": "ulimit -n 64",
    "very few descriptors": "ulimit -n 12",
    "short files": "ulimit -f 4",
    "no output": "exec >&-",
    "no streams": "exec <&- >&- 2>&-",
    "full output": "exec >/dev/full",
    "all full": "exec >/dev/full 2>/dev/full",
    "POSIX": "export LC_ALL=POSIX PYTHONUTF8=0 PYTHONCOERCECLOCALE=0",
    "optimised": "export PYTHONOPTIMIZE=2",
    "one core": "taskset -p -c 0 $$ >/dev/null",
    "no home": "unset HOME; export PATH=/usr/bin:/bin",
    "no tools": "export PATH=/nonexistent",
    "deleted directory": "mkdir -p gone; cd gone; rmdir ../gone",
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout with a campaign and trials whose texts are not ASCII, in an odd path."""
    root = checkout(tmp_path_factory.mktemp("hostile") / "50% $HOME ünï")
    for name in ("upstream.toml", "upstream.lock"):
        shutil.copy(ROOT / name, root)
    shutil.copytree(ROOT / "targets" / TARGET, root / "targets" / TARGET, dirs_exist_ok=True)
    take_products(root, "upstream", "bin", linked=True)
    small_night(root)
    env = {**os.environ, "LAR_ROOT": str(root)}
    subprocess.run([LAR, "lessons", TARGET, "--add", "größer → schneller"], env=env, check=True,
                   capture_output=True)  # fmt: skip
    return root


@pytest.mark.parametrize(
    "name",
    fast_for(SURROUNDINGS, "few descriptors", "no output", "full output", "POSIX", "no tools"),
)
@pytest.mark.parametrize("part", [0, *(pytest.param(n, marks=pytest.mark.deep) for n in (1, 2, 3))])
def test_every_command_ends_as_documented(place: Path, name: str, part: int) -> None:
    """A fourth of the commands in each surroundings, another fourth in the next; `deep`: all."""
    first = (list(SURROUNDINGS).index(name) + part) % 4
    env = {**os.environ, "LAR_ROOT": str(place), "LAR_LOCK_DIR": str(place)}
    for words in COMMANDS[first::4]:
        script = f'{SURROUNDINGS[name]}; exec "$@"'
        done = subprocess.run(["bash", "-c", script, "bash", str(LAR), *words], cwd=place, env=env,
                              capture_output=True, timeout=120)  # fmt: skip
        text = (done.stdout + done.stderr).decode("utf-8", "replace")
        assert "Traceback" not in text, (words, text)
        assert done.returncode in DOCUMENTED, (words, done.returncode, text)
        assert "Exception ignored" not in text, (words, text)
        if name == "optimised" and words == ("try", "--help"):
            assert "Judge the current kernel" in text
        if name == "full output" and done.returncode == 4 and words == ("status",):
            assert "standard output cannot be written" in text


def test_a_full_disk_is_called_full(tmp_path: Path) -> None:
    lar = checkout(tmp_path / "r") / ".lar"
    lar.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "t", lar]).returncode:
        pytest.skip("only root mounts")
    try:
        env = {**os.environ, "LAR_ROOT": str(lar.parent)}
        (lar / "fill").write_bytes(bytes(50_000))
        for words in COMMANDS[::3]:
            with (lar / "fill").open("ab", buffering=0) as file:
                try:
                    while file.write(bytes(4096)):
                        pass
                except OSError:
                    pass
            done = subprocess.run([LAR, *words], env=env, capture_output=True, text=True)
            assert "Traceback" not in done.stderr, (words, done.stderr)
            assert done.returncode in DOCUMENTED, (words, done)
            assert "disk I/O" not in done.stderr
    finally:
        subprocess.run(["umount", lar], check=True)


@pytest.mark.parametrize("seed", range(24))
def test_ctrl_c_at_any_instant_leaves_no_traceback(place: Path, seed: int) -> None:
    dice = random.Random(seed)
    words = dice.choice([("status",), ("log", "--verify"), ("report", TARGET), ("doctor",)])
    env = {**os.environ, "LAR_ROOT": str(place)}
    with subprocess.Popen([ROOT / "lar", *words], env=env, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, preexec_fn=interruptible) as process:
        time.sleep(dice.choice([0.001, 0.01, 0.05, 0.1, 0.2, 0.4]) * dice.uniform(0.5, 1.5))
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert b"Traceback" not in said, said
    assert process.returncode in (0, 4, 130, -signal.SIGINT), (process.returncode, said)


CASE = json.loads((ROOT / "tests/data/gate/real-win.json").read_text())
NUMBERS = (0, -1, 1e308, -1e308, 10**400, 2**63, 5e-324, float("nan"), float("inf"), "x", None, [])


def list_paths(node: object, path: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
    if isinstance(node, dict):
        return [p for key, value in node.items() for p in list_paths(value, (*path, key))]
    if isinstance(node, list):
        return [p for i, value in enumerate(node[:2]) for p in list_paths(value, (*path, i))]
    return [path] if isinstance(node, int | float) else []


def test_the_decision_rule_on_hostile_numbers_names_the_field(tmp_path: Path) -> None:
    from lance_autoresearch.cli.app import run_command_line

    dice = random.Random(1)
    paths = list_paths(CASE)
    for trial in range(250):
        document = json.loads(json.dumps(CASE))
        path = dice.choice(paths)
        node = document
        for key in path[:-1]:
            node = node[key]
        node[path[-1]] = dice.choice(NUMBERS)
        file = tmp_path / f"{trial}.json"
        file.write_text(json.dumps(document))
        assert run_command_line(["rejudge", str(file)]) in DOCUMENTED, (path, node[path[-1]])


def test_a_moved_environment_is_named(tmp_path: Path) -> None:
    shutil.copy(ROOT / "lar", tmp_path / "lar")
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    shutil.copy(LAR, tmp_path / ".venv" / "bin" / "lar")
    done = subprocess.run([tmp_path / "lar", "status"], capture_output=True, text=True)
    assert done.returncode == 4
    assert "moved or copied" in done.stderr and "next:    make setup" in done.stderr
