"""The addresses in GitHub's answers."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType

REPOSITORY_LINKS: Mapping[str, str] = MappingProxyType(
    {
        "archive_url": "/{archive_format}{/ref}",
        "assignees_url": "/assignees{/user}",
        "blobs_url": "/git/blobs{/sha}",
        "branches_url": "/branches{/branch}",
        "collaborators_url": "/collaborators{/collaborator}",
        "comments_url": "/comments{/number}",
        "commits_url": "/commits{/sha}",
        "compare_url": "/compare/{base}...{head}",
        "contents_url": "/contents/{+path}",
        "contributors_url": "/contributors",
        "deployments_url": "/deployments",
        "downloads_url": "/downloads",
        "events_url": "/events",
        "forks_url": "/forks",
        "git_commits_url": "/git/commits{/sha}",
        "git_refs_url": "/git/refs{/sha}",
        "git_tags_url": "/git/tags{/sha}",
        "hooks_url": "/hooks",
        "issue_comment_url": "/issues/comments{/number}",
        "issue_events_url": "/issues/events{/number}",
        "issues_url": "/issues{/number}",
        "keys_url": "/keys{/key_id}",
        "labels_url": "/labels{/name}",
        "languages_url": "/languages",
        "merges_url": "/merges",
        "milestones_url": "/milestones{/number}",
        "notifications_url": "/notifications{?since,all,participating}",
        "pulls_url": "/pulls{/number}",
        "releases_url": "/releases{/id}",
        "stargazers_url": "/stargazers",
        "statuses_url": "/statuses/{sha}",
        "subscribers_url": "/subscribers",
        "subscription_url": "/subscription",
        "tags_url": "/tags",
        "teams_url": "/teams",
        "trees_url": "/git/trees{/sha}",
    }
)
USER_LINKS: Mapping[str, str] = MappingProxyType(
    {
        "followers_url": "/followers",
        "following_url": "/following{/other_user}",
        "gists_url": "/gists{/gist_id}",
        "starred_url": "/starred{/owner}{/repo}",
        "subscriptions_url": "/subscriptions",
        "organizations_url": "/orgs",
        "repos_url": "/repos",
        "events_url": "/events{/privacy}",
        "received_events_url": "/received_events",
    }
)


@dataclass(frozen=True)
class Links:
    """The addresses of one repository, as the caller reaches it."""

    api: str
    """Where the REST API begins, with /api/v3 for who came by it."""
    site: str
    storage: str
    """Where logs lie: another host on GitHub, another port here."""
    full_name: str

    def repo(self, path: str = "") -> str:
        return f"{self.api}/repos/{self.full_name}{path}"

    def html(self, path: str = "") -> str:
        return f"{self.site}/{self.full_name}{path}"

    def issue(self, number: int, path: str = "") -> str:
        return self.repo(f"/issues/{number}{path}")

    def pull(self, number: int, path: str = "") -> str:
        return self.repo(f"/pulls/{number}{path}")


def stamp(moment: float) -> str:
    """A time as GitHub writes it: whole seconds, UTC."""
    return datetime.fromtimestamp(int(moment), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def stamp_or_none(moment: float | None) -> str | None:
    return None if moment is None else stamp(moment)
