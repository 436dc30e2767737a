"""Users, the repository and its commits as the REST API shows them."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from tests.github.links import REPOSITORY_LINKS, USER_LINKS, Links, stamp
from tests.github.repository import Commit, FileChange, Repository
from tests.github.state import Protection, State, User

Json = dict[str, Any]


def node(kind: str, key: int | str) -> str:
    """A global id, as GraphQL takes it: PR_1004."""
    return f"{kind}_{key}"


def user(links: Links, user: User) -> Json:
    url = f"{links.api}/users/{user.login}"
    return {
        "login": user.login,
        "id": user.id,
        "node_id": node("U", user.id),
        "avatar_url": f"{links.site}/avatars/u/{user.id}",
        "gravatar_id": "",
        "url": url,
        "html_url": f"{links.site}/{user.login}",
        **{name: url + path for name, path in USER_LINKS.items()},
        "type": user.kind,
        "site_admin": False,
    }


def account(links: Links, state: State, found: User) -> Json:
    """What GET /user tells a person about themselves."""
    none = dict.fromkeys(("name", "company", "blog", "location", "email", "hireable", "bio"))
    counts = ("public_repos", "public_gists", "followers", "following", "private_gists", "disk_usage")
    more = ("total_private_repos", "owned_private_repos", "collaborators")
    moment = stamp(state.created_at)
    return {
        **user(links, found),
        **none,
        **dict.fromkeys((*counts, *more), 0),
        "created_at": moment,
        "updated_at": moment,
        "two_factor_authentication": True,
    }


def repository(links: Links, state: State) -> Json:
    url, html = links.repo(), links.html()
    open_issues = sum(issue.is_open and not issue.deleted for issue in state.issues.values())
    flags = ("has_issues", "has_projects", "has_wiki", "allow_squash_merge", "allow_merge_commit")
    return {
        "id": state.id,
        "node_id": node("R", state.id),
        "name": state.name,
        "full_name": state.full_name,
        "owner": user(links, state.users[state.owner]),
        "private": True,
        "visibility": "private",
        "html_url": html,
        "url": url,
        "description": None,
        "fork": False,
        **{name: url + path for name, path in REPOSITORY_LINKS.items()},
        "git_url": f"git:{html.partition(':')[2]}.git",
        "ssh_url": f"git@example.invalid:{state.full_name}.git",
        "clone_url": f"{html}.git",
        "svn_url": html,
        "mirror_url": None,
        "homepage": None,
        "language": None,
        "license": None,
        **dict.fromkeys(
            ("forks", "forks_count", "stargazers_count", "watchers", "watchers_count", "size"), 0
        ),
        **dict.fromkeys(("subscribers_count", "network_count"), 0),
        **dict.fromkeys(flags, True),
        **dict.fromkeys(("has_pages", "has_discussions", "has_downloads", "archived", "disabled"), False),
        "allow_rebase_merge": False,
        "allow_auto_merge": state.allow_auto_merge,
        "delete_branch_on_merge": state.delete_branch_on_merge,
        "default_branch": state.default_branch,
        "open_issues": open_issues,
        "open_issues_count": open_issues,
        "created_at": stamp(state.created_at),
        "updated_at": stamp(state.created_at),
        "pushed_at": stamp(state.pushed_at or state.created_at),
        "topics": [],
    }


def permissions(user: User) -> Json:
    names = {"pull": "read", "triage": "triage", "push": "write", "maintain": "maintain", "admin": "admin"}
    return {name: user.may(permission) for name, permission in names.items()}


def commit(links: Links, found: Commit) -> Json:
    url = links.repo(f"/commits/{found.sha}")
    people = ("name", "email", "date")
    return {
        "sha": found.sha,
        "node_id": node("C", found.sha),
        "url": url,
        "html_url": links.html(f"/commit/{found.sha}"),
        "comments_url": f"{url}/comments",
        "commit": {
            "url": links.repo(f"/git/commits/{found.sha}"),
            "author": dict(zip(people, found.author, strict=True)),
            "committer": dict(zip(people, found.committer, strict=True)),
            "message": found.message,
            "comment_count": 0,
            "tree": {"sha": found.tree, "url": links.repo(f"/git/trees/{found.tree}")},
        },
        # GitHub knows no account for these addresses.
        "author": None,
        "committer": None,
        "parents": [
            {
                "sha": parent,
                "url": links.repo(f"/commits/{parent}"),
                "html_url": links.html(f"/commit/{parent}"),
            }
            for parent in found.parents
        ],
    }


def files(links: Links, repository: Repository, base: str, head: str) -> Sequence[Json]:
    """What `head` changed since it left `base`."""
    return [
        _file(links, change, head, repository.patch(base, head, change.path))
        for change in repository.files(base, head)
    ]


def _file(links: Links, change: FileChange, head: str, patch: str) -> Json:
    path = quote(change.path)
    shape: Json = {
        "sha": change.blob,
        "filename": change.path,
        "status": change.status,
        "additions": change.additions,
        "deletions": change.deletions,
        "changes": change.additions + change.deletions,
        "blob_url": links.html(f"/blob/{head}/{path}"),
        "raw_url": links.html(f"/raw/{head}/{path}"),
        "contents_url": links.repo(f"/contents/{path}?ref={head}"),
    }
    if patch:
        shape["patch"] = patch
    if change.status == "renamed":
        shape["previous_filename"] = change.old_path
    return shape


def reference(links: Links, branch: str, sha: str) -> Json:
    url = links.repo(f"/git/commits/{sha}")
    return {
        "ref": f"refs/heads/{branch}",
        "node_id": node("REF", branch),
        "url": links.repo(f"/git/refs/heads/{quote(branch)}"),
        "object": {"type": "commit", "sha": sha, "url": url},
    }


def branch(links: Links, name: str, found: Commit, protection: Protection | None) -> Json:
    url = links.repo(f"/branches/{quote(name)}")
    return {
        "name": name,
        "commit": commit(links, found),
        "_links": {"html": links.html(f"/tree/{name}"), "self": url},
        "protected": protection is not None,
        "protection": {
            "enabled": protection is not None,
            "required_status_checks": {
                "enforcement_level": "non_admins" if protection else "off",
                "contexts": protection.checks if protection else [],
                "checks": [
                    {"context": name, "app_id": None} for name in (protection.checks if protection else [])
                ],
            },
        },
        "protection_url": f"{url}/protection",
    }
