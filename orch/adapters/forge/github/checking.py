"""Whether GitHub can be used: for `orch forge check` and `orch doctor`.

A fine-grained token does not tell what it may do. It is found out by writes that GitHub refuses whoever
asks, for another reason: a pull request of a branch that does not exist, a label that exists.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

from orch.adapters import git
from orch.adapters.forge.github import shapes
from orch.adapters.forge.github.address import origin_name
from orch.adapters.forge.github.credentials import Credentials
from orch.adapters.forge.github.failures import MissingError, RefusedError
from orch.adapters.forge.github.hub import Hub
from orch.adapters.forge.github.usage import CORE
from orch.errors import OrchError
from orch.ports import Finding

NO_BRANCH = "orch/forge-check-no-such-branch"
LABEL_COLOR = "5319e7"
LATER = "try again later"
FEW_LEFT = 500
"""So many requests should be left: a poll that finds something new takes two and more."""


def check(
    hub: Hub,
    credentials: Credentials,
    repository: Path,
    *,
    base: str,
    issue_label: str,
    labels: Sequence[str],
) -> Sequence[Finding]:
    """A finding for each thing. What depends on something broken is left out."""
    findings: list[Finding] = []
    try:
        credentials.token()
        scopes = hub.connection.read_answer("/user").headers.get("x-oauth-scopes")
        findings.append(
            Finding(ok=True, what=f"GitHub knows the token of {credentials.source} as {hub.login()}")
        )
        found = hub.repository(again=True)
    except OrchError as error:
        return [*findings, Finding(ok=False, what=error.message, do=error.hint or LATER)]
    findings += [
        *_check_scopes(scopes),
        *_check_repository(hub, found),
        _check_origin(hub, repository),
        _check_push(credentials, repository),
        *_check_labels(hub, issue_label, labels),
        *_check_rights(hub, base, issue_label),
        _check_limit(hub),
    ]
    return findings


def make_label(hub: Hub, name: str) -> None:
    """Make a label. Nothing happens if it is there."""
    body = {"name": name, "color": LABEL_COLOR, "description": "For orch"}
    try:
        hub.connection.write("POST", hub.path("/labels"), body, shapes.Label)
    except RefusedError as error:
        if "already_exists" not in error.said:
            raise


def _check_scopes(scopes: str | None) -> list[Finding]:
    """What a classic token may do. Others have no scopes to tell of."""
    names = {name.strip() for name in (scopes or "").split(",")} - {""}
    if not names:
        return []
    findings = []
    ok = bool(names & {"repo", "public_repo"})
    told = ", ".join(sorted(names))
    do = "" if ok else "give the token the scope repo (or public_repo, for public repositories alone)"
    findings.append(Finding(ok, f"the token has the scopes {told}", do))
    if ok and "workflow" not in names:
        what = "without the scope workflow, no change under .github/workflows can be pushed by token"
        findings.append(Finding(ok=True, what=what))
    return findings


def _check_repository(hub: Hub, found: shapes.Repository) -> list[Finding]:
    rights = found.permissions or shapes.Rights()
    findings = []
    if hub.name.lower() != hub.address.name.lower():
        do = f"git remote set-url origin {hub.address.site}/{hub.name}.git, or set [forge] repository"
        findings.append(Finding(ok=False, what=f"{hub.address.name} is called {hub.name} now", do=do))
    if found.archived:
        do = "unarchive it on GitHub"
        findings.append(Finding(ok=False, what=f"{hub.name} is archived: nothing can be written", do=do))
    do = "" if rights.push else "let somebody with more rights add this account as a collaborator"
    may = "may push to" if rights.push else "may not push to"
    findings.append(Finding(rights.push, f"this account {may} {hub.name}", do))
    return findings


def _check_origin(hub: Hub, repository: Path) -> Finding:
    name = origin_name(repository, hub.address)
    if name.lower() in {hub.name.lower(), hub.address.name.lower()}:
        return Finding(ok=True, what=f"origin is {hub.name}")
    do = f"git remote set-url origin {hub.address.site}/{hub.name}.git, unless it is the same by another name"
    return Finding(
        ok=False, what=f"origin is not seen to be {hub.name}, where pull requests are opened", do=do
    )


def _check_push(credentials: Credentials, repository: Path) -> Finding:
    """Whether git can log in to push. A dry run: nothing is pushed."""
    command = ("push", "--dry-run", "--no-verify", "--quiet", "origin", f"HEAD:refs/heads/{NO_BRANCH}")
    try:
        git.run(repository, *command, timeout=git.NETWORK_SECONDS, env=credentials.git_environment())
    except OrchError as error:
        return Finding(ok=False, what=error.message, do=error.hint or "try git push by hand")
    return Finding(ok=True, what="git can push to origin")


def _check_labels(hub: Hub, issue_label: str, labels: Sequence[str]) -> list[Finding]:
    findings = []
    for name in dict.fromkeys(name for name in (issue_label, *labels) if name):
        try:
            hub.connection.read(hub.path(f"/labels/{quote(name, safe='')}"), shapes.Label)
            findings.append(Finding(ok=True, what=f"there is a label {name!r}"))
        except MissingError:
            do = "orch forge check --create-label makes it" if name == issue_label else "make it on GitHub"
            findings.append(Finding(ok=False, what=f"there is no label {name!r}", do=do))
        except OrchError as error:
            findings.append(Finding(ok=False, what=error.message, do=error.hint or LATER))
    return findings


def _check_rights(hub: Hub, base: str, issue_label: str) -> list[Finding]:
    """Whether the token may do each thing that orch does."""
    one = {"per_page": 1}
    draft = {"title": "Check", "head": NO_BRANCH, "base": base}
    findings = [
        _try("read pull requests", "Pull requests: read", lambda: _read(hub, "/pulls", one)),
        _try("read checks", "Checks: read", lambda: _read(hub, f"/commits/{base}/check-runs", one)),
        _try("read workflow runs", "Actions: read", lambda: _read(hub, "/actions/runs", one)),
        _try("open pull requests", "Pull requests: write", lambda: _write(hub, "/pulls", draft)),
    ]
    if issue_label:
        findings.append(_try("read issues", "Issues: read", lambda: _read(hub, "/issues", one)))
        if _exists(hub, issue_label):
            label = {"name": issue_label}
            findings.append(_try("write issues", "Issues: write", lambda: _write(hub, "/labels", label)))
    return findings


def _read(hub: Hub, path: str, parameters: Mapping[str, int]) -> object:
    return hub.connection.read(hub.path(path), object, parameters)


def _write(hub: Hub, path: str, body: object) -> object:
    return hub.connection.write("POST", hub.path(path), body, object)


def _exists(hub: Hub, label: str) -> bool:
    try:
        hub.connection.read(hub.path(f"/labels/{quote(label, safe='')}"), shapes.Label)
    except OrchError:
        return False
    return True


def _try(what: str, right: str, action: Callable[[], object]) -> Finding:
    try:
        action()
    except RefusedError:
        pass  # For the reason that was looked for: whoever may not is told so before.
    except OrchError as error:
        do = f"give the token the permission {right}"
        return Finding(ok=False, what=f"the token may not {what}: {error.message}", do=do)
    return Finding(ok=True, what=f"the token may {what}")


def _check_limit(hub: Hub) -> Finding:
    found = hub.connection.meter.usage().limits.get(CORE)
    if found is None:
        return Finding(ok=True, what="GitHub tells of no rate limit")
    at = time.strftime("%H:%M", time.localtime(found.reset_at))
    what = f"{found.left} of {found.limit} requests are left until {at}"
    ok = found.left > min(FEW_LEFT, found.limit / 10)
    return Finding(ok, what, "" if ok else "something else uses this token up: give orch one of its own")
