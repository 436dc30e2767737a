"""Takes secrets out of text that others wrote, before orch says it again (design section 9).

Only what has the shape of a secret is found, and the values that config.toml hands to workers under a name
that says so. Another password in plain words is not: the first defence is that a worker gets no secrets.
"""

import re
from collections.abc import Collection

MASK = "***"
"""What stands in place of a secret."""

_TOKENS = re.compile(
    r"(?<![A-Za-z0-9])(?:"
    # GitHub: "Token formats" in its documentation of authentication. A ghs_ may be signed: with dots in it.
    r"gh[opsur]_[A-Za-z0-9_]{20,}(?:\.[\w-]+)*"
    r"|github_pat_[A-Za-z0-9_]{20,}"
    # GitLab: "Token prefixes" in its security documentation.
    r"|gl(?:pat|dt|rt|rtr|ptt|cbt|oas|ft|imt|agent|soat|ffct)-[\w.-]{20,}"
    # Anthropic and OpenAI.
    r"|sk-ant-[\w-]{20,}"
    r"|sk-(?:(?:proj|svcacct|admin)-[\w-]{20,}|[A-Za-z0-9]{40,})"
    # AWS: "Understanding unique ID prefixes" of IAM; what follows is base 32.
    r"|(?:AKIA|ASIA)[A-Z2-7]{16}(?![A-Za-z0-9])"
    r")"
)

_SIGNED = re.compile(r"(?<![\w-])eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{8,}")
"""A JSON Web Token (RFC 7519): `{"` in base 64, twice, and a signature."""

_HEADER = re.compile(
    r"(?i)(\bauthorization[\"']?\s{0,3}[:=]\s{0,3}[\"']?)"
    r"(?:(basic|bearer|digest|negotiate|token)(\s{1,3})[^\s\"',;]{8,}|(?=\S{0,200}\d)[^\s\"',;]{16,})"
)

_BEARER = re.compile(r"(?i)(\bbearer\s{1,3})(?=[\w.~+/=-]{0,200}\d)[\w.~+/=-]{16,}")
"""RFC 6750. A digit is asked for: no word of 16 letters is a token."""

_IN_URL = re.compile(r"(?<=://)(?!git@)[^/?#\s'\"<>]+@")
"""USER:PASSWORD@ or TOKEN@ up to the last @ of the host part (RFC 3986, 3.2.1)."""

_KEY = "(?:[A-Z0-9]{1,20} ){0,3}PRIVATE KEY(?: BLOCK)?-----"
_PRIVATE_KEY = re.compile(
    rf"-----BEGIN {_KEY}(?:"
    rf"(?:(?!-----)[\s\S])*-----END {_KEY}"
    # Its end is cut off, or (below) its beginning.
    r"|(?:\s*[A-Za-z0-9+/=]{40,})+(?:\s+[A-Za-z0-9+/=]+\Z)?)"
    rf"|\A[A-Za-z0-9+/=\s\\]*-----END {_KEY}"
)
"""RFC 7468, and OpenPGP's; one in JSON has backslashes for its line ends."""


_known: tuple[str, ...] = ()
"""Secrets of the settings, the longest first. One set for the process: text comes from many places."""
_kept: tuple[str, ...] = ()
"""Tokens that orch itself was given, the longest first: the settings do not know them."""


def remember(secrets: Collection[str]) -> None:
    """Mask these values too, from now on and instead of those before."""
    global _known  # noqa: PLW0603 - see above
    _known = tuple(sorted(secrets, key=len, reverse=True))


def keep(secret: str) -> None:
    """Mask this value too, for as long as the process lives, whatever `remember` is told."""
    global _kept  # noqa: PLW0603 - see above
    _kept = tuple(sorted({*_kept, secret}, key=len, reverse=True))


def redact(text: str) -> str:
    """The text with `***` for every token, authorization header, password in a URL and private key.

    The values that `remember` and `keep` were given are masked too.
    """
    for secret in (*_kept, *_known):
        text = text.replace(secret, MASK)
    text = _PRIVATE_KEY.sub(MASK, text)
    text = _IN_URL.sub(f"{MASK}@", text)
    text = _TOKENS.sub(MASK, text)
    text = _SIGNED.sub(MASK, text)
    text = _HEADER.sub(_keep_the_scheme, text)
    return _BEARER.sub(rf"\1{MASK}", text)


def _keep_the_scheme(found: re.Match[str]) -> str:
    return f"{found[1]}{found[2] or ''}{found[3] or ''}{MASK}"
