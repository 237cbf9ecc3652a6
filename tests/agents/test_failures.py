"""Kinds of failures, from the words and fields that agents' programs really print.

Rows marked `run` were printed by Claude Code 2.1.330 and Codex 0.163 against a scripted server on
2026-11-30; the others stand in the vendors' programs or in public bug reports.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from lance_autoresearch.agents import AgentFailed, Settings
from lance_autoresearch.agents.claude import ClaudeAgent
from lance_autoresearch.agents.codex import CodexAgent
from lance_autoresearch.agents.failures import (
    Complaint,
    FailureKind,
    classify,
    find_reset_time,
    merge_body,
    say,
)
from lance_autoresearch.campaign.waiting import (
    GiveUp,
    RetryDelays,
    Streaks,
    Wait,
    describe_seconds,
    plan_next,
)
from lance_autoresearch.host.agent_sandbox import ProgramResult

K = FailureKind
NOW = datetime(2026, 11, 30, 22, 0, tzinfo=UTC).timestamp()


@pytest.fixture(autouse=True)
def berlin() -> Iterator[None]:
    """This machine's zone, in these tests."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = "Europe/Berlin"
    time.tzset()
    yield
    if before is None:
        del os.environ["TZ"]
    else:
        os.environ["TZ"] = before
    time.tzset()


TEXTS = [
    ("You've hit your session limit · resets 12:50am", K.LIMIT),
    ("You've hit your weekly limit · resets Dec 3, 2pm (Europe/Berlin)", K.LIMIT),
    ("You've reached your Opus 5 limit · resets 3pm", K.LIMIT),
    ("Reached your weekly limit", K.LIMIT),
    ("Claude AI usage limit reached|1796100000", K.LIMIT),
    ("5-hour limit reached ∙ resets 5pm", K.LIMIT),
    ("You\u2019ve hit your usage limit. Upgrade to Pro (https://chatgpt.com/explore/pro), visit "
     "https://chatgpt.com/settings/usage to purchase more credits or try again at Dec 3rd, 2026 "
     "12:13 PM.", K.LIMIT),  # run
    ("API Error: Request rejected (429) · This request would exceed your rate limit", K.LIMIT),
    ("exceeded retry limit, last status: 429 Too Many Requests", K.LIMIT),  # run
    ("API Error: 529 Overloaded. This is a server-side issue, usually temporary — try again in a "
     "moment.", K.OVERLOADED),  # run
    ("Selected model is at capacity. Please try a different model.", K.OVERLOADED),  # run
    ("We\u2019re currently experiencing high demand, which may cause errors.", K.OVERLOADED),
    ("API Error: 500 authentication service unavailable · Please run /login", K.OVERLOADED),
    ('API Error: 503 {"type":"error","error":{"type":"authentication_error","message":"x"}}',
     K.OVERLOADED),
    ("Internal server error", K.OVERLOADED),
    ("500 authentication service: could not authenticate", K.OVERLOADED),
    ("The authentication service is unavailable. Please log in again later.", K.OVERLOADED),
    ("API Error: Connection refused — a firewall or proxy may be blocking it (ECONNREFUSED)",
     K.NETWORK),  # run
    ("ConnectionRefused: Unable to connect. Is the computer able to access the url?", K.NETWORK),
    *[(f"API Error: {word}", K.NETWORK) for word in (
        "read ECONNRESET", "fetch failed", "getaddrinfo EAI_AGAIN api.example.com",
        "getaddrinfo ENOTFOUND api.example.com", "socket hang up",
        "Connection closed mid-response", "Request timed out.", "TypeError: terminated: premature "
        "close", "connect EHOSTUNREACH 10.0.0.1:443", "connect ENETUNREACH")],
    ("stream disconnected before completion: error sending request for url", K.NETWORK),
    ("Failed to refresh the session: token could not be refreshed: fetch failed", K.NETWORK),
    ("Not logged in · Please run /login", K.SIGNED_OUT),
    ("Failed to authenticate: OAuth session expired and could not be refreshed", K.SIGNED_OUT),
    ("Invalid API key · Fix external API key", K.SIGNED_OUT),  # run
    ("unexpected status 401 Unauthorized: Incorrect API key provided, url: http://x/v1/responses",
     K.SIGNED_OUT),  # run
    ("Your access token could not be refreshed because your refresh token was already used. "
     "Please log out and sign in again.", K.SIGNED_OUT),
    ("Missing environment variable: `OPENAI_API_KEY`.", K.SIGNED_OUT),
    ("Credit balance is too low", K.NO_CREDIT),  # run
    ("Quota exceeded. Check your plan and billing details.", K.NO_CREDIT),  # run
    ("You've hit your monthly spend limit.", K.NO_CREDIT),
    ("402 Payment Required", K.NO_CREDIT),
    ("Failed to authenticate. API Error: 403 Request not allowed", K.REFUSED),  # run
    ("Your ANTHROPIC_API_KEY belongs to a disabled organization · Update or unset the environment "
     "variable", K.REFUSED),  # run
    ("This organization has been disabled.", K.REFUSED),
    ('API Error: 403 {"error":{"type":"forbidden","message":"no"}}', K.REFUSED),
    ("unexpected status 403 Forbidden: Country, region, or territory not supported", K.REFUSED),
    ("Claude Code is unable to respond to this request, which appears to violate our Usage Policy",
     K.POLICY),
    ("edit failed: 500 lines too long", K.UNKNOWN),
    ("500 lines were changed", K.UNKNOWN),
    ("status of the work: 401 lines left", K.UNKNOWN),
    ("Segmentation fault", K.UNKNOWN),
    ("", K.UNKNOWN),
]


@pytest.mark.parametrize(("text", "kind"), TEXTS, ids=[text[:40] for text, _ in TEXTS])
def test_a_message_of_a_program_names_the_kind(text: str, kind: FailureKind) -> None:
    assert classify(say(text)) is kind


@pytest.mark.parametrize(("complaint", "kind"), [
    (Complaint("x", codes=("authentication_failed",), status=503), K.OVERLOADED),
    (Complaint("x", codes=("authentication_failed", "permission_error"), status=403), K.REFUSED),
    (Complaint("x", codes=("invalid_request_error",), status=400), K.UNKNOWN),
    (Complaint("x", codes=("rate_limit_error",), status=429), K.LIMIT),
    (Complaint("x", status=402), K.NO_CREDIT),
    (Complaint("x", otherwise=K.CRASHED), K.CRASHED),
    (merge_body(say("Internal error"), {"error": {"code": 429, "status": "RESOURCE_EXHAUSTED"}}),
     K.LIMIT),
    (merge_body(say("x"), {"error": {"code": "insufficient_quota"}}), K.NO_CREDIT),
    (merge_body(say("x"), {"code": "ECONNRESET", "syscall": "read"}), K.NETWORK),
])  # fmt: skip
def test_fields_come_before_words(complaint: Complaint, kind: FailureKind) -> None:
    assert classify(complaint) is kind


def at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


TIMES = [
    ("You've hit your session limit · resets 12:50am", "2026-12-01T00:50+01:00"),
    ("resets at 3pm (Europe/Berlin)", "2026-12-01T15:00+01:00"),
    ("resets 11:30pm (UTC)", "2026-11-30T23:30+00:00"),
    ("resets 9pm (America/New_York)", "2026-11-30T21:00-05:00"),
    ("weekly limit · resets Dec 3, 2pm", "2026-12-03T14:00+01:00"),
    ("resets Dec 3 at 14:30 (UTC)", "2026-12-03T14:30+00:00"),
    ("resets Jan 2, 8am", "2027-01-02T08:00+01:00"),
    ("resets tomorrow at 7:15am", "2026-12-01T07:15+01:00"),
    ("resets Thu 6am", "2026-12-03T06:00+01:00"),
    ("or try again at Dec 3rd, 2026 12:13 PM.", "2026-12-03T12:13+01:00"),
    ("try again at 3:45 PM.", "2026-12-01T15:45+01:00"),
    ("Try again in 5 hours 3 minutes.", "2026-12-01T03:03+00:00"),
    ("Please try again in 20s", "2026-11-30T22:00:20+00:00"),
    ("Please retry in 33.5s.", "2026-11-30T22:00:33.5+00:00"),
    ("try again in 1 day and 2 hours", "2026-12-02T00:00+00:00"),
    ("limit resets in 6m0s", "2026-11-30T22:06+00:00"),
    ("429: retry-after: 3600", "2026-11-30T23:00+00:00"),
    ("Retry-After: Tue, 01 Dec 2026 03:00:00 GMT", "2026-12-01T03:00+00:00"),
    ("Claude AI usage limit reached|1796100000", "2026-12-01T04:40+00:00"),
    ("resets at 2026-12-01T05:00:00Z", "2026-12-01T05:00+00:00"),
    ("available again on 2026-12-01 05:00 UTC", "2026-12-01T05:00+00:00"),
    ('429 {"error":{"type":"x","resets_at":1796100000}}', "2026-12-01T04:40+00:00"),
    ('429 {"error":{"type":"x","resets_in_seconds":1800}}', "2026-11-30T22:30+00:00"),
    ('{"details":[{"retryDelay":"17s"}]}', "2026-11-30T22:00:17+00:00"),
]


@pytest.mark.parametrize(("text", "when"), TIMES, ids=[text[:40] for text, _ in TIMES])
def test_the_end_of_a_limit_is_read(text: str, when: str) -> None:
    assert find_reset_time(say(text), NOW) == at(when)


@pytest.mark.parametrize("text", [
    "try again later", "resets soon", "Overloaded", "resets Feb 31", "resets 25:00pm", "",
    "try again in a few minutes", "resets at Nowhere/Land", "retry 3 of 10 failed",
])
def test_without_a_time_none_is_invented(text: str) -> None:
    assert find_reset_time(say(text), NOW) is None


def ended(*rows: dict[str, Any], code: int = 0, stderr: str = "") -> ProgramResult:
    return ProgramResult(code, "\n".join(map(json.dumps, rows)), stderr, None, 1.0)


def fail(agent: Any, result: ProgramResult) -> AgentFailed:
    return agent.make_failure(result, agent.parse_output(result))


RESULT = {"type": "result", "subtype": "success", "is_error": True, "terminal_reason": "api_error"}
API_ROW = {"type": "assistant", "is_api_error_message": True}


@pytest.mark.parametrize(("rows", "kind", "fix"), [
    ([{**API_ROW, "error": "authentication_failed"},
      {**RESULT, "api_error_status": 401, "api_error_type": "authentication_error",
       "result": "Invalid API key · Fix external API key"}], K.SIGNED_OUT, "claude setup-token"),
    ([{**API_ROW, "error": "billing_error"},
      {**RESULT, "api_error_status": 400, "api_error_type": "invalid_request_error",
       "result": "Credit balance is too low"}], K.NO_CREDIT, "settings/billing"),
    ([{**API_ROW, "error": "invalid_request"},
      {**RESULT, "api_error_status": 400, "api_error": "org_disabled_credential", "result": "?"}],
     K.REFUSED, "administrator"),
    ([{**API_ROW, "error": "authentication_failed"},
      {**RESULT, "api_error_status": 403, "api_error_type": "permission_error", "result": "no"}],
     K.REFUSED, "administrator"),
    ([{**API_ROW, "error": "authentication_failed"},
      {**RESULT, "api_error_status": 500, "result": "authentication service"}],
     K.OVERLOADED, None),
    ([{**RESULT, "api_error_status": None, "api_error": "connection_failed",
       "result": "API Error: ?"}], K.NETWORK, None),
    # The model's own words in a turn that ended for another reason decide nothing.
    ([{**RESULT, "terminal_reason": "hook_stopped", "result": "credit balance is too low"}],
     K.UNKNOWN, None),
])  # fmt: skip
def test_fields_of_claude_code(
    rows: list[dict[str, Any]], kind: FailureKind, fix: str | None
) -> None:
    failed = fail(ClaudeAgent(Settings()), ended(*rows, code=1))
    assert failed.kind is kind
    assert (failed.next is None) if fix is None else (fix in str(failed.next))


def test_a_rejected_limit_names_its_end_in_a_field() -> None:
    event = {"type": "rate_limit_event",
             "rate_limit_info": {"status": "rejected", "resetsAt": 1796100000}}
    rows = [event, {**RESULT, "api_error_status": 429, "result": "You've hit your limit"}]
    failed = fail(ClaudeAgent(Settings()), ended(*rows, code=1))
    assert failed.kind is K.LIMIT
    assert find_reset_time(failed.complaint, NOW) == 1796100000


def test_what_an_agent_writes_about_its_work_decides_nothing() -> None:
    said = "edit failed: 500 lines too long; the diff says: credit balance is too low, 401"
    claude = [{"type": "assistant", "message": {"content": [{"type": "text", "text": said}]}},
              {"type": "result", "subtype": "success", "is_error": False, "result": said}]
    for code in (0, 1):
        failed = fail(ClaudeAgent(Settings()), ended(*claude, code=code))
        assert failed.kind is (K.CRASHED if code else K.NO_CANDIDATE)
    codex = [{"type": "item.completed", "item": {"type": "agent_message", "text": said}},
             {"type": "item.completed", "item": {"type": "command_execution",
                                                 "aggregated_output": "401 Unauthorized"}}]
    failed = fail(CodexAgent(Settings()), ended(*codex, code=1))
    assert failed.kind is K.CRASHED
    done = {"type": "turn.completed", "usage": {}}
    failed = fail(CodexAgent(Settings()), ended(*codex, done, code=1, stderr="not logged in"))
    assert failed.kind is K.CRASHED


def test_a_program_without_a_result_is_judged_by_its_last_line_of_stderr() -> None:
    failed = fail(ClaudeAgent(Settings()), ended(code=1, stderr="noise\nfetch failed\n"))
    assert failed.kind is K.NETWORK
    failed = fail(ClaudeAgent(Settings()), ended(code=-9, stderr="401 lines\n"))
    assert failed.kind is K.CRASHED and "exit status -9" in failed.what


DELAYS = RetryDelays()


def plan(text: str | Complaint, streaks: Streaks | None = None, now: float = NOW) -> Wait | GiveUp:
    complaint = say(text) if isinstance(text, str) else text
    return plan_next(AgentFailed(complaint), "claude", streaks or Streaks(), DELAYS, 5, now)


def test_a_named_end_is_waited_for_and_an_absurd_one_is_not() -> None:
    step = plan("You've hit your session limit · resets 12:50am")
    assert isinstance(step, Wait) and step.until == at("2026-12-01T00:50+01:00") + 60
    assert "asking again in 111 min, at 2026-12-01 00:51" in step.why or (
        "asking again in 1 h 51 min, at 2026-12-01 00:51" in step.why), step.why
    step = plan("You've hit your weekly limit · resets Feb 3, 2pm")
    assert isinstance(step, Wait) and step.seconds == 60.0
    step = plan("Out of credits · resets in 2 hours")
    assert isinstance(step, Wait) and step.seconds == 7260.0
    assert isinstance(plan("Credit balance is too low"), GiveUp)


def test_waits_double_and_end_after_a_stated_number() -> None:
    streaks, waits = Streaks(), []
    while isinstance(step := plan("API Error: fetch failed", streaks), Wait):
        waits.append(step.seconds)
    assert waits[:5] == [60, 120, 240, 480, 900] and len(waits) == DELAYS.tries - 1
    assert 6 * 3600 < sum(waits) < 8 * 3600
    assert "30 times in a row (no connection)" in step.why and step.may_go_on
    streaks, waits = Streaks(), []
    while isinstance(step := plan("frobnication imminent", streaks), Wait):
        waits.append(step.seconds)
    assert len(waits) == DELAYS.unknown_tries - 1
    assert "failed 6 times in a row in a way that is not known" in step.why


def test_durations_are_readable() -> None:
    shown = [describe_seconds(s) for s in (3, 60, 120, 5940, 6600, 7200, 200_000)]
    assert shown == ["3 s", "60 s", "2 min", "99 min", "1 h 50 min", "2 h", "2 d 7 h"]
