"""Whether claude can be logged in at all, by what lies on the disk: nobody is asked, nothing is renewed."""

import sys
from collections.abc import Mapping
from pathlib import Path

from orch.adapters.agents import fields
from orch.adapters.store import atomic
from orch.errors import OrchError

VARIABLES = (
    "ANTHROPIC_API_KEY",
    "ANTHROPIC_AUTH_TOKEN",
    "CLAUDE_CODE_OAUTH_TOKEN",
    "CLAUDE_CODE_USE_BEDROCK",
    "CLAUDE_CODE_USE_VERTEX",
    "CLAUDE_CODE_USE_FOUNDRY",
)
"""Any of these stands for a login."""
MANAGED = Path("/etc/claude-code/managed-settings.json")
"""The settings of an organization: they may name a helper that gives the key."""
FILE_BYTES = 256 * 1024


def config_folder(environment: Mapping[str, str]) -> Path:
    """Where a claude with this environment keeps what is its own."""
    return Path(environment.get("CLAUDE_CONFIG_DIR") or f"{environment.get('HOME', '')}/.claude")


def problem(environment: Mapping[str, str], now: float, *, platform: str = sys.platform) -> str:
    """What is wrong with the login of a worker with this environment, '' where nothing is known to be.

    `now` is in seconds since the epoch.
    """
    if any(environment.get(name) for name in VARIABLES):
        return ""
    if platform == "darwin" or MANAGED.exists():
        return ""  # the key ring has it, or a helper gives it
    file = config_folder(environment) / ".credentials.json"
    try:
        data = atomic.read(file, FILE_BYTES)
    except OrchError:
        return ""
    if data is None:
        return "claude is not logged in"
    login = fields.below(fields.parse(data), "claudeAiOauth")
    # A token lives for hours and is renewed by the other one, which lives for months.
    name = "refreshTokenExpiresAt" if fields.text(login, "refreshToken") else "expiresAt"
    expires_at = fields.number(login, name) / 1000
    return f"the login of claude in {file} has expired" if 0 < expires_at <= now else ""
