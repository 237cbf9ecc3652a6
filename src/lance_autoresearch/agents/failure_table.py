"""What agents' programs say when a turn fails, and which kind of failure it is. Data only.

`CODES` are fields of their protocols, `TEXTS` are sentences for people, `EXITS` exit statuses of
`cmd:` agents. Each text names the programs and versions in which it was seen: printed by a real
run against a scripted server (2026-11-30) or contained in the vendor's program.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum


class FailureKind(StrEnum):
    """Why a turn brought no candidate."""

    LIMIT = "limit"
    """A usage or rate limit is reached: it ends by itself."""
    OVERLOADED = "overloaded"
    """The model's side fails or is too busy."""
    NETWORK = "network"
    SIGNED_OUT = "signed-out"
    """No sign-in, or one that is expired, revoked or wrong."""
    NO_CREDIT = "no-credit"
    REFUSED = "refused"
    """The account, its organisation or the region has no access."""
    UNUSABLE = "unusable"
    """A setting that cannot work: no such model, another protocol, no price."""
    POLICY = "policy"
    """The model or its provider declined this one request."""
    CRASHED = "crashed"
    """The program ended without its result."""
    NONSENSE = "nonsense"
    """Its answer does not follow its protocol."""
    NO_CANDIDATE = "no-candidate"
    """The turn ended properly, or at a limit of ours, and the file is as before."""
    UNKNOWN = "unknown"


K = FailureKind

WAITED = frozenset({K.LIMIT, K.OVERLOADED, K.NETWORK})
"""Kinds that pass with time."""
ENDING = frozenset({K.SIGNED_OUT, K.NO_CREDIT, K.REFUSED, K.UNUSABLE})
"""Kinds that a person has to fix."""

CODES: dict[str, FailureKind] = {
    # Claude Code 2.1.330: `error` of an assistant row
    "authentication_failed": K.SIGNED_OUT,
    "oauth_org_not_allowed": K.REFUSED,
    "account_on_hold": K.REFUSED,
    "verification_required": K.REFUSED,
    "billing_error": K.NO_CREDIT,
    "rate_limit": K.LIMIT,
    "overloaded": K.OVERLOADED,
    "server_error": K.OVERLOADED,
    "model_not_found": K.UNUSABLE,
    "cloud_credential_error": K.SIGNED_OUT,
    # Claude Code 2.1.330: `api_error` of the result row
    "org_disabled_credential": K.REFUSED,
    "api_key_auth_disabled": K.REFUSED,
    "network_edge_blocked": K.REFUSED,
    "claude_code_version_too_old": K.UNUSABLE,
    "model_requires_usage_credits": K.NO_CREDIT,
    "long_context_credits_required": K.NO_CREDIT,
    "usage_limit_reached": K.LIMIT,  # also Codex 0.163
    "connection_failed": K.NETWORK,  # also Codex 0.163
    "stream_idle_timeout": K.NETWORK,
    "no_response": K.NETWORK,
    "computer_slept": K.NETWORK,
    "tls_untrusted_ca": K.NETWORK,
    "gateway_signin_required": K.SIGNED_OUT,
    "gateway_session_expired": K.SIGNED_OUT,
    "invalid_credential_header": K.SIGNED_OUT,
    "stored_login_refused": K.SIGNED_OUT,
    "provider_credentials": K.SIGNED_OUT,
    "dlp_request_denied": K.POLICY,
    "safety_monitor_blocked": K.POLICY,
    # Anthropic's messages API: `error.type`
    "authentication_error": K.SIGNED_OUT,
    "permission_error": K.REFUSED,
    "rate_limit_error": K.LIMIT,
    "overloaded_error": K.OVERLOADED,
    "api_error": K.OVERLOADED,
    "timeout_error": K.OVERLOADED,
    "not_found_error": K.UNUSABLE,
    # OpenAI's APIs and Codex 0.163: `error.code`, `error.type`
    "invalid_api_key": K.SIGNED_OUT,
    "token_expired": K.SIGNED_OUT,
    "token_invalidated": K.SIGNED_OUT,
    "refresh_token_expired": K.SIGNED_OUT,
    "refresh_token_reused": K.SIGNED_OUT,
    "refresh_token_invalidated": K.SIGNED_OUT,
    "insufficient_quota": K.NO_CREDIT,
    "quota_exceeded": K.NO_CREDIT,
    "billing_hard_limit_reached": K.NO_CREDIT,
    "usage_not_included": K.NO_CREDIT,
    "rate_limit_exceeded": K.LIMIT,
    "server_is_overloaded": K.OVERLOADED,
    "server_overloaded": K.OVERLOADED,
    "slow_down": K.OVERLOADED,
    "internal_server_error": K.OVERLOADED,
    "response_stream_failed": K.NETWORK,
    "unsupported_country_region_territory": K.REFUSED,
    "account_deactivated": K.REFUSED,
    "organization_disabled": K.REFUSED,
    "organization_on_hold": K.REFUSED,
    "cyber_policy": K.POLICY,
    "bio_policy": K.POLICY,
    "content_policy_violation": K.POLICY,
    "content_filter": K.POLICY,
    # Google's APIs: `error.status`
    "UNAUTHENTICATED": K.SIGNED_OUT,
    "PERMISSION_DENIED": K.REFUSED,
    "RESOURCE_EXHAUSTED": K.LIMIT,
    "UNAVAILABLE": K.OVERLOADED,
    "DEADLINE_EXCEEDED": K.OVERLOADED,
    "INTERNAL": K.OVERLOADED,
    # Node's and the kernel's errors: `code`
    **dict.fromkeys(
        ("ECONNRESET", "ECONNREFUSED", "ECONNABORTED", "ENOTFOUND", "EAI_AGAIN", "ETIMEDOUT",
         "EPIPE", "ENETUNREACH", "EHOSTUNREACH", "ENETDOWN", "ConnectionRefused",
         "ConnectionClosed", "UND_ERR_SOCKET", "UND_ERR_CONNECT_TIMEOUT",
         "UND_ERR_HEADERS_TIMEOUT", "UND_ERR_BODY_TIMEOUT"), K.NETWORK),
}  # fmt: skip
"""A code that is not listed decides nothing."""

STATUSES: dict[int, FailureKind] = {
    401: K.SIGNED_OUT, 402: K.NO_CREDIT, 403: K.REFUSED, 404: K.UNUSABLE, 407: K.REFUSED,
    408: K.OVERLOADED, 425: K.OVERLOADED, 429: K.LIMIT, 451: K.REFUSED,
}  # fmt: skip
"""HTTP statuses below 500; every one from 500 is `overloaded`."""

EXITS: dict[int, FailureKind] = {
    68: K.NETWORK, 69: K.OVERLOADED, 75: K.OVERLOADED, 77: K.SIGNED_OUT,
}  # fmt: skip
"""sysexits.h: EX_NOHOST, EX_UNAVAILABLE, EX_TEMPFAIL, EX_NOPERM; read for `cmd:` agents only."""

ORDER = (K.NO_CREDIT, K.REFUSED, K.LIMIT, K.POLICY, K.UNUSABLE, K.OVERLOADED, K.NETWORK,
         K.SIGNED_OUT)  # fmt: skip
"""Of several codes the kind that stands first counts: the more particular one."""


@dataclass(frozen=True, slots=True)
class TextSign:
    """A sentence that stands for a kind of failure."""

    kind: FailureKind
    pattern: re.Pattern[str]
    seen: str
    """Programs and versions that print it."""
    strong: bool = False
    """It is more particular than an HTTP status of 4xx beside it."""


def _sign(kind: FailureKind, pattern: str, seen: str, *, strong: bool = False) -> TextSign:
    return TextSign(kind, re.compile(pattern, re.I), seen, strong)


TEXTS: tuple[TextSign, ...] = (
    _sign(K.LIMIT, r"(?:hit|reached|exceeded) (?:your|the) (?:\w+[- ]){0,3}?(?<!spend )limit\b",
          "Claude Code 2.1.330 (session, weekly, Opus limit), Codex 0.163 (usage limit)",
          strong=True),
    _sign(K.LIMIT, r"\b(?:usage|session|weekly|daily|hourly|5-hour|request|token|message) limit "
          r"(?:has been )?(?:reached|exceeded|hit)|limit reached\b.*\bresets?\b",
          "Claude Code 1.0 to 2.1, Gemini CLI 0.2", strong=True),
    _sign(K.NO_CREDIT, r"credit balance (?:is )?too low|out of (?:usage )?credits|out of usage\b|"
          r"spend(?:ing)? limit|insufficient (?:credits?|funds|balance|quota)|payment required|"
          r"quota exceeded|exceeded your current quota|billing hard limit|no credits? (?:left|rem)",
          "Claude Code 2.1.330, Codex 0.163 (Quota exceeded), OpenAI's and OpenRouter's APIs",
          strong=True),
    _sign(K.REFUSED, r"organi[sz]ation (?:has been |is )?(?:disabled|suspended|on hold)|"
          r"disabled organi[sz]ation|account (?:has been |is )?(?:disabled|suspended|deactivated|"
          r"on hold|banned)|not (?:available|supported) in your (?:country|region)|"
          r"country, region, or territory not supported|request not allowed|"
          r"does not have (?:access|permission)|\bforbidden\b|permission denied by",
          "Claude Code 2.1.330, Codex 0.163, OpenAI's API", strong=True),
    _sign(K.POLICY, r"violate\w* (?:our|the) usage polic|content (?:policy|filter)|"
          r"flagged (?:as|by|for)|(?:model|request) (?:was )?refused|refused to go on",
          "Claude Code 2.1, Codex 0.163, ACP `refusal`", strong=True),
    _sign(K.LIMIT, r"rate.?limit|too many requests|server is temporarily limiting requests",
          "Claude Code 2.1.330, Codex 0.163 (last status: 429 Too Many Requests)"),
    _sign(K.NETWORK, r"\b(?:ECONN(?:RESET|REFUSED|ABORTED)|ENOTFOUND|EAI_AGAIN|ETIMEDOUT|EPIPE|"
          r"ENET(?:UNREACH|DOWN)|EHOSTUNREACH|UND_ERR_\w+|Connection(?:Refused|Closed|Reset))\b|"
          r"fetch failed|socket hang up|unable to connect|network (?:error|is unreachable)|"
          r"connection (?:was )?(?:closed|reset|refused|error|aborted|lost|failed|timed out|"
          r"terminated|broken|interrupted)|closed mid-response|getaddrinfo|"
          r"(?:dns|name) (?:error|resolution)|no route to host|internet connection|"
          r"stream (?:disconnected|error|closed)|error sending request|"
          r"error while reading the server response|broken pipe|tls handshake|"
          r"premature close|incomplete response|(?:request|connection|operation) timed? ?out",
          "Claude Code 2.1.330 (Node's and Bun's words), Codex 0.163, Gemini CLI 0.2"),
    _sign(K.OVERLOADED, r"(?:auth\w*|login|sign-in|identity) (?:service|server|backend)\b.{0,60}"
          r"(?:unavailable|error|down\b|fail)", "Claude Code 2.1 (public bug reports)"),
    _sign(K.SIGNED_OUT, r"not (?:logged|signed) in|(?:run|use) /login|(?:log|sign) ?in again|"
          r"please (?:log|sign) ?in|run `?(?:claude|codex|gemini)?[ \w]* ?login|"
          r"(?:invalid|incorrect|missing|expired|no) (?:\S+ )?(?:api.?key|auth token|x-api-key|"
          r"credentials|access token|bearer)|api.?key (?:is |was )?(?:invalid|missing|not (?:set|"
          r"valid|found)|expired)|missing environment variable|"
          r"(?:session|token|login|credentials?) (?:has |have |is |are )?(?:expired|revoked|"
          r"invalid)|could not be refreshed|authentication required",
          "Claude Code 2.1.330 (OAuth session expired and could not be refreshed), Codex 0.163"),
    _sign(K.OVERLOADED, r"overload|at capacity|high (?:demand|load)|internal server error|"
          r"service (?:is )?(?:temporarily )?unavailable|bad gateway|gateway time-?out|"
          r"server error|temporarily unavailable|try again (?:later|in a moment|in a few)|"
          r"timed? ?out\b",
          "Claude Code 2.1.330 (529 Overloaded), Codex 0.163 (at capacity, high demand)"),
    _sign(K.SIGNED_OUT, r"unauthori[sz]ed|failed to authenticate|authentication (?:failed|error)|"
          r"\bauthentication\b",
          "Codex 0.163 (401 Unauthorized), ACP -32000"),
    _sign(K.UNUSABLE, r"model\b.{0,60}(?:not found|does not exist|not supported|unknown)|"
          r"unknown model|unexpected argument|unrecognized option|unknown option",
          "Codex 0.163, Claude Code 2.1.330, OpenAI's API"),
)
"""Tried in this order; the first one that is found counts."""
