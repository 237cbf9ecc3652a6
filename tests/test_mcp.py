"""`lar mcp` as its clients see it: the protocol's own client, and the real Claude Code."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
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
from model_servers import anthropic, responses, say, use

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
    spoiled = mine.read().replace(b"pub fn scan8", b"pub fn scan_eight")
    mine.kernel_path.write_bytes(spoiled)
    names, status, tried, logged, why, lessons = talk(
        root,
        ("lar_status", {}),
        ("lar_try", {"target": TARGET, "hypothesis": "--json a name is no cost"}),
        ("lar_log", {"target": TARGET}),
        ("lar_explain", {"target": TARGET}),
        ("lar_lessons", {"target": TARGET}),
    )
    assert names == {"lar_try", "lar_wait", "lar_check", "lar_bench", "lar_status", "lar_log",
                     "lar_lessons", "lar_explain"}
    assert str(mine.kernel_path) in status
    done = json.loads(tried)
    assert done["state"] == "done" and done["exit_code"] == 3
    assert done["answer"]["verdict"] == "rejected"
    (trial,) = json.loads(logged)["trials"]
    assert trial["hypothesis"] == "--json a name is no cost" and "immutable" not in trial
    assert why.startswith("verdict rejected") and 'untrusted: "--json a name' in why
    assert "a name is no cost" in lessons
    assert mine.read() == mine.champion_text()


def test_a_wrong_call_answers_with_what_is_allowed(root: Path) -> None:
    _, wrong, no_job = talk(
        root,
        ("lar_try", {"target": "--kernel=/etc/passwd", "hypothesis": "x"}),
        ("lar_wait", {"trial": "t99"}),
    )
    assert json.loads(wrong)["exit_code"] == 64
    assert "no target named '--kernel" in wrong
    assert "no trial 't99'" in no_job


def test_a_long_command_answers_running_and_is_waited_for(root: Path) -> None:
    from lance_autoresearch.cli.mcp import Jobs

    jobs = Jobs(root)
    name = jobs.start(["targets"])
    first = jobs.wait(name, 0.0)
    assert first == {"state": "running", "trial": name, "next": f"lar_wait {name}"}
    last = jobs.wait(name, 60.0)
    assert last["state"] == "done" and last["exit_code"] == 0


def test_claude_code_drives_itself_through_the_tools(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = fresh(root)
    spoiled = mine.read().replace(b"pub fn scan8", b"pub fn scan_nine")
    mine.kernel_path.write_bytes(spoiled)
    settings = tmp_path / "mcp.json"
    server = {"command": LAR, "args": ["mcp"], "env": {"LAR_ROOT": str(root)}}
    settings.write_text(json.dumps({"mcpServers": {"lar": server}}))
    steps = [
        use("mcp__lar__lar_try", target=TARGET, hypothesis="from Claude Code"),
        say("It was refused."),
    ]
    with clean_environment(monkeypatch, tmp_path / "home"), anthropic.Server(steps) as model:
        env = {**os.environ, "ANTHROPIC_BASE_URL": model.url, "ANTHROPIC_API_KEY": "sk-scripted",
               "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1", "MCP_TIMEOUT": "60000"}
        done = subprocess.run(
            [program("claude"), "-p", "have a look at program.md and kick off a new experiment",
             "--strict-mcp-config", "--mcp-config", str(settings),
             "--allowedTools", "mcp__lar__lar_try", "--permission-mode", "dontAsk",
             "--no-session-persistence", "--max-turns", "4"],
            cwd=mine.worktree, env=env, capture_output=True, text=True, timeout=240,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "It was refused." in done.stdout
    answer = str(model.seen[-1]["messages"])
    assert "rejected" in answer and "does not offer the target" in answer
    assert mine.read() == mine.champion_text()


def test_codex_drives_itself_through_the_tools(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = fresh(root)
    spoiled = mine.read().replace(b"pub fn scan8", b"pub fn scan_ten")
    mine.kernel_path.write_bytes(spoiled)
    steps = [
        use("lar_try", namespace="mcp__lar", target=TARGET, hypothesis="from Codex"),
        say("It was refused."),
    ]
    with clean_environment(monkeypatch, tmp_path / "home"), responses.Server(steps) as model:
        kept = {"LAR_ROOT": str(root), "PATH": os.environ["PATH"],
                "RUSTUP_HOME": os.environ["RUSTUP_HOME"],
                "LAR_LOCK_DIR": os.environ["LAR_LOCK_DIR"]}  # Codex passes on little else
        listed = ",".join(f'{name}="{value}"' for name, value in kept.items())
        tools = (f'mcp_servers.lar={{command="{LAR}",args=["mcp"],env={{{listed}}},'
                 'required=true,tool_timeout_sec=900,default_tools_approval_mode="approve"}')
        stub = (f'model_providers.stub={{name="stub",base_url="{model.url}/v1",'
                'wire_api="responses",env_key="OPENAI_API_KEY"}')
        env = {**os.environ, "OPENAI_API_KEY": "sk-scripted"}
        done = subprocess.run(
            [program("codex"), "exec", "--json", "--ephemeral", "--skip-git-repo-check",
             "-c", "approval_policy=never", "-c", "model_provider=stub", "-c", stub, "-c", tools,
             "kick off a new experiment"],
            cwd=mine.worktree, env=env, capture_output=True, text=True, timeout=240,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    answer = str(model.seen[-1]["input"])
    assert "rejected" in answer and "does not offer the target" in answer
    assert mine.read() == mine.champion_text()
