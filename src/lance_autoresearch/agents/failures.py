"""Which kind of failure is it, and when does it end? Read from what a program reports as its error.

    Complaint(text, codes, status) ── classify ──> FailureKind
                                   ── find_reset_time ──> unix seconds, or None

Order: an HTTP status from 500 (an authentication service that fails is overloaded, not signed
out); the protocol's own codes; texts that are more particular than a status (no credit, usage
limit); a status of 4xx; other texts. Codes and statuses that stand inside a message (`API Error:
500 {...}`) count as such. The table is `failure_table`. Drivers put nothing into a complaint but
what came over the result or error channel of their protocol: what an agent writes about its work
decides nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from lance_autoresearch.agents.failure_table import (
    CODES,
    ORDER,
    STATUSES,
    TEXTS,
    FailureKind,
)
from lance_autoresearch.agents.reset_time import parse_moment, parse_reset_time

__all__ = [
    "Complaint",
    "FailureKind",
    "classify",
    "find_reset_time",
    "merge_body",
    "report_as",
    "say",
]

_STATUS = re.compile(
    r"(?:\b(?:api error|http(?:/[\d.]+)?|status code|(?:last|unexpected) status)\b[\s:=(#\"]*"
    r"([1-5]\d\d)\b"
    r"|(?:\b(?:status|code|error|rejected)\b[\s:=(#\"]*|^)([1-5]\d\d)"
    r"(?=\s*(?:$|[.,;:{)(\"·—-]|(?-i:[A-Z])|internal|server|service|bad|gateway|auth|upstream)))",
    re.I | re.M)
"""A status where one stands in a message: behind such a word or at the beginning of a line, and
not as a count (`error: 500 lines`)."""
_DEEPEST = 5
"""Nested objects of an error's body that are looked into."""
_RESET_FIELDS = ("resets_at", "resetsAt", "reset_at", "resetAt", "retry_at", "until")
_AFTER_FIELDS = ("resets_in_seconds", "retry_after", "retryAfter", "retry-after", "retryDelay")


@dataclass(frozen=True, slots=True)
class Complaint:
    """What a program reported as the error that ended its turn."""

    shown: str
    """In its words, for people."""
    text: str = ""
    """What it wrote on its error channel; empty if the words are the model's own."""
    codes: tuple[str, ...] = ()
    """Error types and codes of its protocol."""
    status: int | None = None
    """HTTP status."""
    until: float | None = None
    """When a limit ends, unix seconds, if a field says so."""
    after: float | None = None
    """In how many seconds it ends, if a field says so."""
    otherwise: FailureKind = FailureKind.UNKNOWN
    """The kind if neither code, status nor text tells one."""


def say(text: str, *codes: str, status: int | None = None, until: float | None = None,
        otherwise: FailureKind = FailureKind.UNKNOWN) -> Complaint:  # fmt: skip
    """A complaint whose text is the program's own error message."""
    return Complaint(text, text, codes, status, until, otherwise=otherwise)


def report_as(kind: FailureKind, shown: str) -> Complaint:
    """A complaint of a known kind, in our words."""
    return Complaint(shown, otherwise=kind)


def classify(complaint: Complaint) -> FailureKind:
    """The kind of failure that a complaint is about."""
    whole = read_embedded(complaint)
    status = whole.status if whole.status is not None else find_status(whole.text)
    if status is not None and status >= 500:
        return FailureKind.OVERLOADED
    known = {CODES.get(code) for code in whole.codes} | {_match_text(whole.text, strong=True)}
    weak = _match_text(whole.text, strong=False)
    by_status = STATUSES.get(status) if status is not None else None
    found = next((kind for kind in ORDER if kind in known), None) or by_status or weak
    if found is FailureKind.SIGNED_OUT and weak is FailureKind.NETWORK and status is None:
        return weak  # a sign-in could not be renewed, because the network is down
    return found or whole.otherwise


def find_reset_time(complaint: Complaint, now: float) -> float | None:
    """When the failure ends, unix seconds; None if the program does not say it.

    Args:
        now: unix seconds; `in 5 hours` and `12:50am` count from here.
    """
    whole = read_embedded(complaint)
    if whole.until is not None:
        return whole.until
    if whole.after is not None:
        return now + whole.after
    return parse_reset_time(whole.text, now)


def find_status(text: str) -> int | None:
    """The HTTP status that a message names, or None."""
    found = _STATUS.search(text)
    return int(found[1] or found[2]) if found else None


def read_embedded(complaint: Complaint) -> Complaint:
    """The complaint with the codes, status and times of a JSON body inside its text."""
    body = _find_object(complaint.text)
    return merge_body(complaint, body) if body else complaint


def merge_body(complaint: Complaint, body: Any) -> Complaint:
    """The complaint with what an error's body holds in fields; its own fields count first."""
    codes, status, until, after = list(complaint.codes), complaint.status, None, None
    for key, value in _walk(body, _DEEPEST):
        if key in ("type", "code", "status", "reason", "error") and isinstance(value, str):
            codes.append(value)
        if key in ("status", "code", "status_code", "statusCode") and _is_status(value):
            status = status if status is not None else int(value)
        if key in _RESET_FIELDS:
            until = until or parse_moment(value)
        if key in _AFTER_FIELDS:
            after = after or _parse_seconds(value)
    return replace(complaint, codes=tuple(codes), status=status,
                   until=complaint.until if complaint.until is not None else until,
                   after=complaint.after if complaint.after is not None else after)


def _match_text(text: str, *, strong: bool) -> FailureKind | None:
    return next(
        (sign.kind for sign in TEXTS if sign.strong == strong and sign.pattern.search(text)), None
    )


def _is_status(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 100 <= value < 600


def _parse_seconds(value: object) -> float | None:
    """A number of seconds: 30, "30", "30s"."""
    if isinstance(value, str):
        value = value.strip().removesuffix("s")
    try:
        seconds = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
    return seconds if 0 <= seconds < 1e9 else None


def _find_object(text: str) -> dict[str, Any] | None:
    """The first JSON object in a message."""
    start = text.find("{")
    while 0 <= start < 4000:
        try:
            found, _ = json.JSONDecoder().raw_decode(text[start:])
        except (ValueError, RecursionError):
            found = None
        if isinstance(found, dict):
            return found
        start = text.find("{", start + 1)
    return None


def _walk(value: Any, depth: int) -> Iterator[tuple[str, Any]]:
    """Key and value of all fields of nested objects, outer ones first."""
    if depth == 0:
        return
    if isinstance(value, dict):
        yield from ((str(key), inner) for key, inner in value.items())
        for inner in value.values():
            yield from _walk(inner, depth - 1)
    elif isinstance(value, list):
        for inner in value[:20]:
            yield from _walk(inner, depth - 1)
