"""Sign-in files: the newest copy is the one in use, and a person is told when copies part."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from agent_parts import (
    checkout,
    clean_environment,
    fresh,
    own_lock,  # noqa: F401
    run_loop,
)

from lance_autoresearch.agents import Settings
from lance_autoresearch.agents.claude import ClaudeAgent
from lance_autoresearch.agents.sign_in import SignInFiles

NAME = ".claude/.credentials.json"
RENEWS = """#!/bin/sh
cat > /dev/null
file="$HOME/.claude/.credentials.json"
(cat "$file"; echo) >> "$HOME/seen"
now=$(date +%s%N)
printf '{"claudeAiOauth": {"token": "%s", "expiresAt": %s}}' $now 1800000000000 > "$file"
echo '{"type": "result", "subtype": "success", "is_error": false, "result": "May I?"}'
"""
"""A program that renews its sign-in in each turn, as the service allows each token once."""


def token(text: str, expires: int = 1_700_000_000_000) -> bytes:
    return json.dumps({"claudeAiOauth": {"token": text, "expiresAt": expires}}).encode()


def write(home: Path, data: bytes) -> None:
    (home / NAME).parent.mkdir(parents=True, exist_ok=True)
    (home / NAME).write_bytes(data)


@pytest.fixture
def files(tmp_path: Path) -> SignInFiles:
    return SignInFiles(tmp_path / "store", tmp_path / "person", (NAME,), "claude setup-token")


def test_a_renewed_token_goes_to_the_next_home_and_is_named_once(
    files: SignInFiles, tmp_path: Path
) -> None:
    person, one, two = tmp_path / "person", tmp_path / "one", tmp_path / "two"
    write(person, token("own"))
    assert files.lend(one) == [] and (one / NAME).read_bytes() == token("own")
    assert (one / NAME).stat().st_mode & 0o777 == 0o600
    write(one, token("renewed"))
    (note,) = files.collect(one)
    assert "may be refused" in note and "claude setup-token" in note
    write(one, token("renewed again"))
    assert files.collect(one) == [], "it was said"
    assert files.lend(two) == [] and (two / NAME).read_bytes() == token("renewed again")
    assert (person / NAME).read_bytes() == token("own"), "theirs is never written"


def test_a_person_who_signs_in_again_wins_unless_the_copy_is_newer(
    files: SignInFiles, tmp_path: Path
) -> None:
    person, home = tmp_path / "person", tmp_path / "home"
    write(person, token("own", 1_700_000_000_000))
    files.lend(home)
    write(person, token("own again", 1_700_000_100_000))
    assert files.lend(home) == [] and (home / NAME).read_bytes() == token(
        "own again", 1_700_000_100_000)
    write(home, token("renewed", 1_700_000_300_000))
    files.collect(home)
    write(person, token("older", 1_700_000_200_000))
    (note,) = files.lend(home)
    assert "the agent's copy is newer and stays" in note
    assert (home / NAME).read_bytes() == token("renewed", 1_700_000_300_000)
    assert files.lend(home) == []
    write(person, token("newest", 1_700_000_400_000))
    (note,) = files.lend(home)
    assert "replaces it" in note
    assert (home / NAME).read_bytes() == token("newest", 1_700_000_400_000)


def test_what_a_killed_loop_left_is_collected(files: SignInFiles, tmp_path: Path) -> None:
    person, home, other = (tmp_path / name for name in ("person", "home", "other"))
    write(person, token("own", 1_700_000_000_000))
    files.lend(home)
    write(home, token("renewed", 1_700_000_100_000))  # then the loop was killed
    (note,) = files.lend(home)
    assert "renewed its sign-in" in note
    files.lend(other)
    assert (other / NAME).read_bytes() == token("renewed", 1_700_000_100_000)


@pytest.mark.parametrize("junk", [b"", b"half {", b"[]", b"{}", b"x" * (2 << 20)])
def test_half_a_file_is_not_kept(files: SignInFiles, tmp_path: Path, junk: bytes) -> None:
    person, home = tmp_path / "person", tmp_path / "home"
    write(person, token("own"))
    files.lend(home)
    write(home, junk)
    assert files.collect(home) == []
    files.lend(home)
    assert (home / NAME).read_bytes() == token("own")


def test_a_link_or_a_pipe_in_its_place_is_not_followed(
    files: SignInFiles, tmp_path: Path
) -> None:
    import os

    person, home, secret = tmp_path / "person", tmp_path / "home", tmp_path / "secret"
    write(person, token("own"))
    secret.write_bytes(token("secret"))
    files.lend(home)
    (home / NAME).unlink()
    (home / NAME).symlink_to(secret)
    assert files.collect(home) == []
    files.lend(home)
    assert (home / NAME).read_bytes() == token("own") and secret.read_bytes() == token("secret")
    (home / NAME).unlink()
    os.mkfifo(home / NAME)
    assert files.collect(home) == []


def test_two_loops_with_a_program_that_renews_its_sign_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = checkout(tmp_path / "checkout")
    program = tmp_path / "bin" / "claude"
    program.parent.mkdir()
    program.write_text(RENEWS)
    program.chmod(0o755)
    with clean_environment(monkeypatch, tmp_path / "home"):
        monkeypatch.setenv("LAR_AGENT_READABLE", str(program.parent))
        write(tmp_path / "home", token("own", 1_700_000_000_000))
        seen = []
        for _ in range(2):
            mine = fresh(root)
            run_loop(root, ClaudeAgent(Settings(program=str(program))), campaign=mine.name)
            home = root / ".lar" / "loops" / mine.name / "agent" / "claude"
            seen += (home / "seen").read_text().splitlines()
        tokens = [json.loads(line)["claudeAiOauth"]["token"] for line in seen]
    assert tokens[0] == "own" and len(set(tokens)) == 4, "no token was used twice"
    said = capsys.readouterr().out
    assert said.count("renewed its sign-in") == 1 and "claude setup-token" in said
