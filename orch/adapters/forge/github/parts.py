"""Puts the adapter together from the settings. Nothing is asked of GitHub yet, and no token looked for."""

from collections.abc import Callable
from pathlib import Path

from orch.adapters.forge.github.address import locate, site_of
from orch.adapters.forge.github.connection import Connection
from orch.adapters.forge.github.credentials import DEFAULT_VARIABLES, Credentials
from orch.adapters.forge.github.forge import GitHubForge, Opening
from orch.adapters.forge.github.hub import Hub
from orch.adapters.forge.github.reviews import GitHubReviews
from orch.adapters.forge.github.tracker import GitHubTracker
from orch.config import Config
from orch.core.values import dataclass


@dataclass(frozen=True, slots=True)
class GitHub:
    """Everything that talks to one repository of one GitHub."""

    hub: Hub
    credentials: Credentials
    forge: GitHubForge
    tracker: GitHubTracker
    reviews: GitHubReviews


def make(root: Path, config: Config, *, base: str, warn: Callable[[str], None]) -> GitHub:
    """The adapter for the checkout at `root`. `base` is the branch that pull requests are merged into."""
    settings = config.forge
    variable = "" if settings.token_env in DEFAULT_VARIABLES else settings.token_env
    credentials = Credentials(site_of(settings.api_url), config.environ, variable=variable)
    connection = Connection(settings.api_url.rstrip("/"), credentials, timeout=settings.timeout_seconds)
    hub = Hub(lambda: locate(root, api_url=settings.api_url, repository=settings.repository), connection)
    forge = GitHubForge(
        hub,
        root,
        base=base,
        credentials=credentials,
        opening=Opening(settings.draft, settings.pull_labels, settings.reviewers),
        issue_label=settings.issue_label,
        warn=warn,
    )
    label, trust = settings.issue_label, config.forge_policy().trust
    tracker = GitHubTracker(hub, label=label, trust=trust, warn=warn)
    reviews = GitHubReviews(hub, root, credentials=credentials, expect=tracker.expect)
    return GitHub(hub, credentials, forge, tracker, reviews)
