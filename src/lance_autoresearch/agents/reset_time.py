"""When a limit ends, as programs write it: clock times, dates, durations, unix seconds.

    parse_reset_time("You've hit your session limit · resets 12:50am (Europe/Berlin)", now)

Seen: `resets 12:50am`, `resets at 3pm (Europe/Berlin)`, `resets Dec 3, 2pm`, `|1796300000`
(Claude Code 1.0 to 2.1.330); `try again at 3:45 PM`, `try again at Dec 3rd, 2026 12:13 PM`, `try
again in 5 hours 3 minutes` (Codex 0.163); `Please retry in 33.1s` (Google); `retry-after: 3600`;
ISO dates. A clock time without a date is the next one; one without a zone is this machine's.
"""

from __future__ import annotations

import email.utils
import re
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

_CUE = re.compile(
    r"(?:reset(?:s|ting)?|try(?:ing)? again|retry(?:ing)?(?:.after)?|available again|renews?|"
    r"expires|wait(?: until)?|limit reached\|)[\s:]*(?:again\b|at\b|on\b|in\b|after\b|until\b|"
    r"=|\|)?[\s:\"'=]*", re.I)
"""Words that a time stands behind."""
_UNITS = {"ms": 0.001, "s": 1.0, "sec": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "hr": 3600.0,
          "hour": 3600.0, "d": 86400.0, "day": 86400.0, "w": 604800.0, "week": 604800.0,
          "second": 1.0, "minute": 60.0, "millisecond": 0.001}
_PART = re.compile(
    r"(?:about |approximately |~|another )?(\d+(?:\.\d+)?)\s*"
    r"(milliseconds?|ms|seconds?|secs?|s|minutes?|mins?|m|hours?|hrs?|h|days?|d|weeks?|w)"
    r"(?![a-z])(?:,?\s*(?:and\s+)?)", re.I)
_ISO = re.compile(
    r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:\s?Z|\s?UTC|[+-]\d\d:?\d\d)?)?")
_EPOCH = re.compile(r"(1\d{9})(\d{3})?(?!\d)")
_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
_DATE = re.compile(
    r"(?:(?P<day>today|tomorrow|(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*)\b[,\s]*(?:at\s+)?)?"
    r"(?:(?P<month>jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?\s+(?P<date>\d{1,2})"
    r"(?:st|nd|rd|th)?(?:,?\s+(?P<year>20\d\d))?[,\s]*(?:at\s+)?)?"
    r"(?:(?P<hour>\d{1,2})(?::(?P<minute>\d\d))?(?::\d\d)?\s*(?P<half>[ap]\.?m\b\.?)?)?"
    r"\s*(?:\(?(?P<zone>[A-Z][A-Za-z_]+/[A-Za-z_/+-]+|UTC|GMT|Z)\b\)?)?", re.I)


def parse_reset_time(text: str, now: float) -> float | None:
    """The moment behind a word such as `resets` or `try again`, unix seconds; None: none named.

    Args:
        now: unix seconds.
    """
    for cue in _CUE.finditer(text):
        found = _parse_behind(text[cue.end():].lstrip(), now)
        if found is not None:
            return found
    return None


def parse_moment(value: object) -> float | None:
    """A moment in a field: unix seconds or milliseconds, or an ISO date."""
    if isinstance(value, str):
        if (iso := _ISO.fullmatch(value.strip())) is not None:
            return _read_iso(iso[0])
        try:
            value = float(value)
        except ValueError:
            return None
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    seconds = value / 1000.0 if value > 1e11 else float(value)
    return seconds if 1e9 <= seconds < 1e10 else None


def _parse_behind(rest: str, now: float) -> float | None:
    """The moment that a text begins with."""
    if (epoch := _EPOCH.match(rest)) is not None:
        return float(epoch[1])
    if (iso := _ISO.match(rest)) is not None:
        return _read_iso(iso[0])
    if (seconds := _read_duration(rest)) is not None:
        return now + seconds
    if (http := _read_http_date(rest)) is not None:
        return http
    return _read_clock(rest, now)


def _read_iso(text: str) -> float | None:
    try:
        moment = datetime.fromisoformat(re.sub(r"\s?(?:Z|UTC)$", "+00:00", text))
        return moment.timestamp()  # without a zone: this machine's
    except (ValueError, OverflowError, OSError):
        return None


def _read_http_date(text: str) -> float | None:
    try:
        return email.utils.parsedate_to_datetime(text[:40].split("\n")[0]).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError, OSError):
        return None


def _read_duration(text: str) -> float | None:
    """`5 hours 3 minutes`, `6m0s`, `33.1s`; a bare number is seconds, as in Retry-After."""
    total, at, parts = 0.0, 0, 0
    while (part := _PART.match(text, at)) is not None:
        unit = part[2].lower()
        total += float(part[1]) * _UNITS.get(unit, _UNITS.get(unit.rstrip("s"), 0.0))
        at, parts = part.end(), parts + 1
    if parts:
        return total
    bare = re.match(r"(\d{1,7})\s*(?:$|[,.;)}\"'])", text)
    return float(bare[1]) if bare else None


def _read_clock(text: str, now: float) -> float | None:
    """`12:50am`, `3pm (Europe/Berlin)`, `Dec 3rd, 2026 12:13 PM`, `tomorrow at 9:00`, `Aug 8`."""
    found = _DATE.match(text)
    if found is None or not (found["hour"] or found["month"] or found["day"]):
        return None
    if found["hour"] and not (found["minute"] or found["half"] or found["month"]):
        return None  # a bare number is no time
    here = datetime.fromtimestamp(now, UTC).astimezone(_read_zone(found["zone"]))
    try:
        return _next_moment(found, here).timestamp()
    except (ValueError, OverflowError, OSError):
        return None


def _next_moment(found: re.Match[str], here: datetime) -> datetime:
    """The first moment after `here` that the parts describe. Raises ValueError for none such."""
    hour = int(found["hour"] or 0)
    if found["half"]:
        if not 1 <= hour <= 12:
            raise ValueError("no such hour")
        hour = hour % 12 + (12 if found["half"].lower().startswith("p") else 0)
    moment = here.replace(hour=hour, minute=int(found["minute"] or 0), second=0, microsecond=0)
    if found["month"]:
        moment = moment.replace(year=int(found["year"] or here.year), day=1)
        moment = moment.replace(month=_MONTHS.index(found["month"].lower()) + 1)
        moment = moment.replace(day=int(found["date"]))
        if not found["year"] and moment < here - timedelta(days=180):
            moment = moment.replace(year=here.year + 1)
        return _settle_offset(moment)
    if day := (found["day"] or "").lower():
        if day == "today":
            return _settle_offset(moment)
        ahead = 1 if day == "tomorrow" else (_DAYS.index(day[:3]) - here.weekday()) % 7
        moment += timedelta(days=ahead)
        return _settle_offset(moment if moment > here else moment + timedelta(days=7))
    return _settle_offset(moment if moment > here else moment + timedelta(days=1))


def _settle_offset(moment: datetime) -> datetime:
    """The same clock time with the offset that its zone has on that day."""
    if isinstance(moment.tzinfo, ZoneInfo):
        return moment
    return moment.replace(tzinfo=None).astimezone() if moment.tzinfo is not UTC else moment


def _read_zone(name: str | None) -> tzinfo | None:
    """The zone of that name; None: this machine's, also for a name that is not known here."""
    if name is None:
        return None
    if name.upper() in ("UTC", "GMT", "Z"):
        return UTC
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError):
        return None
