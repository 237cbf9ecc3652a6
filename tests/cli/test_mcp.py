"""`lar mcp` as its clients see it: the protocol's own client, and the real Claude Code."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from agent_parts import (
    TARGET,
    checkout,
    clean_environment,
    fresh,
    own_lock,  # noqa: F401
    program,
)
from mcp import ClientSession, StdioServerParameters, stdio_client
from model_servers import Step, anthropic, responses, say, use

from lance_autoresearch.campaign.campaign import Campaign

ROOT = Path(__file__).resolve().parents[2]
LAR = str(Path(sys.executable).parent / "lar")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkout(tmp_path_factory.mktemp("mcp"))


def talk(root: Path, *calls: tuple[str, dict[str, Any]]) -> list[Any]:
    """Call tools in one session; returns the tools' names and every answer."""

    async def session() -> list[Any]:
        env = {**os.environ, "LAR_ROOT": str(root)}
        parameters = StdioServerParameters(command=LAR, args=["mcp"], env=env)
        async with stdio_client(parameters) as (read, write), ClientSession(read, write) as client:
            await client.initialize()
            listed = await client.list_tools()
            answers: list[Any] = [{tool.name for tool in listed.tools}]
            for name, arguments in calls:
                result = await client.call_tool(name, arguments)
                answers.append(result.content[0].text)  # type: ignore[union-attr]
            return answers

    return asyncio.run(asyncio.wait_for(session(), 240))


def test_an_agent_can_try_wait_and_ask_why(root: Path) -> None:
    mine = fresh(root)
    spoiled = mine.read_kernel().replace(b"pub fn scan8", b"pub fn scan_eight")
    mine.kernel_path.write_bytes(spoiled)
    names, status, tried, logged, why, lessons = talk(
        root,
        ("lar_status", {}),
        ("lar_try", {"target": TARGET, "hypothesis": "--json a name is no cost"}),
        ("lar_log", {"target": TARGET}),
        ("lar_why", {"target": TARGET}),
        ("lar_lessons", {"target": TARGET}),
    )
    assert names == {"lar_try", "lar_wait", "lar_why", "lar_diff", "lar_validate", "lar_bench",
                     "lar_status", "lar_log", "lar_lessons", "lar_explain"}
    assert str(mine.kernel_path) in status
    done = json.loads(tried)
    assert done["state"] == "done" and done["exit_code"] == 3
    assert done["answer"]["verdict"] == "rejected"
    (trial,) = json.loads(logged)["trials"]
    assert trial["hypothesis"] == "--json a name is no cost" and "immutable" not in trial
    assert why.startswith("verdict rejected") and 'untrusted: "--json a name' in why
    assert "a name is no cost" in lessons
    assert mine.read_kernel() == mine.read_champion()


def test_a_recorded_row_is_explained_with_its_combos() -> None:
    """What `lar log --json` prints is all that an explanation needs."""
    from lance_autoresearch.cli.log import as_json
    from lance_autoresearch.cli.mcp import explain
    from lance_autoresearch.ledger.export import load_records

    rows = load_records(ROOT / "records" / "fsst-2026-11-22").trials
    row = next(row for row in rows if row.record.reason.startswith("guard: "))
    words = explain(json.loads(json.dumps(as_json(row))))
    assert "valid at any stop" in words and "\nlost    " in words
    assert row.record.reason in words


def test_a_wrong_call_answers_with_what_is_allowed(root: Path) -> None:
    _, wrong, no_job = talk(
        root,
        ("lar_try", {"target": "--kernel=/etc/passwd", "hypothesis": "x"}),
        ("lar_wait", {"trial": "t99"}),
    )
    assert json.loads(wrong)["exit_code"] == 64
    assert "no target named '--kernel" in wrong
    assert "no trial 't99'" in no_job


def test_an_unknown_target_is_an_error_and_no_empty_list(root: Path) -> None:
    _, logged, why = talk(root, ("lar_log", {"target": "nope"}), ("lar_why", {"target": "nope"}))
    assert "no target named 'nope'" in json.loads(logged)["error"]["what"]
    assert "no target named 'nope'" in why


def test_a_long_command_answers_running_and_is_waited_for(root: Path) -> None:
    from lance_autoresearch.cli.mcp import Jobs

    jobs = Jobs(root)
    name = jobs.start(["targets"])
    first = jobs.wait(name, 0.0)
    assert first == {"state": "running", "trial": name, "next": f"lar_wait {name}"}
    last = jobs.wait(name, 60.0)
    assert last["state"] == "done" and last["exit_code"] == 0


IMPATIENT = """
from lance_autoresearch.cli import mcp
run = mcp.Jobs.run
def soon(self, *words, **more):
    return run(self, *words, seconds=0.01 if words[0] == "try" else 200.0)
mcp.Jobs.run = soon
mcp.serve_mcp()
"""
"""The server, but a trial answers `running` at once, as a long one would after 45 seconds, and
nothing else does, however busy the machine is."""
PROMPT = "have a look at program.md and kick off a new experiment"


def claude(mine: Campaign, home: Path, steps: list[Step]) -> list[str]:
    """A session of the real Claude Code; what its model was answered."""
    settings = home.with_suffix(".json")
    server = {"command": sys.executable, "args": ["-c", IMPATIENT],
              "env": {"LAR_ROOT": str(mine.root)}}
    settings.write_text(json.dumps({"mcpServers": {"lar": server}}))
    named = [Step(tool=f"mcp__lar__{step.tool}", input=step.input) for step in steps]
    with anthropic.Server([*named, say("That was all.")]) as model:
        env = {**os.environ, "ANTHROPIC_BASE_URL": model.url, "ANTHROPIC_API_KEY": "sk-scripted",
               "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1", "MCP_TIMEOUT": "60000",
               "CLAUDE_CODE_MCP_AUTO_BACKGROUND_MS": "0"}
        done = subprocess.run(
            [program("claude"), "-p", PROMPT, "--strict-mcp-config", "--mcp-config", str(settings),
             "--allowedTools", "mcp__lar", "--permission-mode", "dontAsk",
             "--no-session-persistence", "--max-turns", "20"],
            cwd=mine.worktree, env=env, capture_output=True, text=True, timeout=240,
        )
    assert done.returncode == 0 and "That was all." in done.stdout, done.stdout + done.stderr
    blocks = [block for row in model.seen[-1]["messages"] if row["role"] == "user"
              for block in row["content"] if isinstance(block, dict)]
    return [str(block["content"]) for block in blocks if block.get("type") == "tool_result"]


def codex(mine: Campaign, home: Path, steps: list[Step]) -> list[str]:
    """A session of the real Codex; what its model was answered."""
    kept = {"LAR_ROOT": str(mine.root), "PATH": os.environ["PATH"],
            "RUSTUP_HOME": os.environ["RUSTUP_HOME"],
            "LAR_LOCK_DIR": os.environ.get("LAR_LOCK_DIR", "")}  # Codex passes on little else
    listed = ",".join(f'{name}="{value}"' for name, value in kept.items() if value)
    code = json.dumps(IMPATIENT)
    tools = (f'mcp_servers.lar={{command="{sys.executable}",args=["-c",{code}],env={{{listed}}},'
             'required=true,tool_timeout_sec=900,default_tools_approval_mode="approve"}')
    named = [use(str(step.tool), namespace="mcp__lar", **step.input) for step in steps]
    with responses.Server([*named, say("That was all.")]) as model:
        stub = (f'model_providers.stub={{name="stub",base_url="{model.url}/v1",'
                'wire_api="responses",env_key="OPENAI_API_KEY"}')
        done = subprocess.run(
            [program("codex"), "exec", "--json", "--ephemeral", "--skip-git-repo-check",
             "-c", "approval_policy=never", "-c", "model_provider=stub", "-c", stub, "-c", tools,
             PROMPT],
            cwd=mine.worktree, env={**os.environ, "OPENAI_API_KEY": "sk-scripted"},
            capture_output=True, text=True, timeout=240,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [row for row in model.seen[-1]["input"] if row["type"] == "function_call_output"]
    return [str(row["output"]) for row in rows]


@pytest.mark.deep
@pytest.mark.parametrize("session", [claude, codex])
def test_real_programs_drive_themselves_through_the_tools(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    session: Callable[[Campaign, Path, list[Step]], list[str]],
) -> None:
    mine = fresh(root)
    spoiled = mine.read_kernel().replace(b"pub fn scan8", b"use std::fs;\npub fn scan8")
    mine.kernel_path.write_bytes(spoiled)
    idea = f"from {session.__name__}"
    steps = [
        use("lar_status"), use("lar_lessons", target=TARGET),
        use("lar_diff", target=TARGET, kernel=str(mine.kernel_path)),
        use("lar_try", target=TARGET, hypothesis=idea), use("lar_wait", trial="t4"),
        use("lar_why", target=TARGET), use("lar_log", target=TARGET, last=1),
        use("lar_bench", target="no-such-target"),
    ]
    with clean_environment(monkeypatch, tmp_path / "home"):
        answers = session(mine, tmp_path / "home", steps)
    status, lessons, check, tried, waited, why, logged, bench = answers
    assert mine.name in status and str(mine.kernel_path) in status
    assert "dead_ends" in lessons or "lessons" in lessons
    assert "std::fs" in check and "not admitted" in check
    assert "running" in tried and "lar_wait t4" in tried
    assert "done" in waited and "rejected" in waited
    assert "verdict rejected" in why and idea in why and idea in logged
    assert "no target named" in bench
    assert mine.read_kernel() == mine.read_champion()


@pytest.mark.deep
@pytest.mark.timing
def test_a_champion_is_benched_from_claude_code(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with clean_environment(monkeypatch, tmp_path / "home"):
        steps = [use("lar_bench", target=TARGET, pairs=4, tier="native")]
        (answer,) = claude(fresh(root), tmp_path / "home", steps)
    assert "done" in answer and "gain" in answer and "all" in answer
