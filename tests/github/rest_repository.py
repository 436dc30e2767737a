"""REST: the account, the repository, its branches and commits."""

from tests.github import shapes_repository as shapes
from tests.github.calls import Answer, Call, Table
from tests.github.errors import ApiError, not_found

table = Table()


@table.route("GET /user")
def get_user(call: Call) -> Answer:
    return Answer(200, shapes.account(call.links, call.world.state, call.actor))


@table.route("GET ~")
def get_repository(call: Call) -> Answer:
    shape = shapes.repository(call.links, call.world.state)
    return Answer(200, {**shape, "permissions": shapes.permissions(call.actor)})


@table.route("GET ~/collaborators/{username}/permission", needs="write")
def get_permission(call: Call) -> Answer:
    found = call.world.state.users.get(call.parameters["username"])
    if found is None:
        raise not_found()
    # The old field knows four words only.
    old = {"triage": "read", "maintain": "write"}.get(found.permission, found.permission)
    user = {
        **shapes.user(call.links, found),
        "role_name": found.permission,
        "permissions": shapes.permissions(found),
    }
    return Answer(200, {"permission": old, "role_name": found.permission, "user": user})


@table.route("GET ~/git/ref/{ref}")
def get_ref(call: Call) -> Answer:
    branch, sha = _branch(call)
    if sha is None:
        raise not_found()
    return Answer(200, shapes.reference(call.links, branch, sha))


@table.route("DELETE ~/git/refs/{ref}", needs="write")
def delete_ref(call: Call) -> Answer:
    branch, sha = _branch(call)
    if sha is None:
        raise ApiError(422, "Reference does not exist")
    if branch == call.world.state.default_branch:
        raise ApiError(422, "Cannot delete the default branch")
    call.world.repository.delete(branch)
    call.world.pulls.refresh()
    return Answer(204)


def _branch(call: Call) -> tuple[str, str | None]:
    """The branch that `heads/NAME` means and its head."""
    branch = call.parameters["ref"].removeprefix("heads/")
    if branch == call.parameters["ref"]:
        return branch, None
    return branch, call.world.repository.branches().get(branch)


@table.route("GET ~/branches/{branch}")
def get_branch(call: Call) -> Answer:
    name, world = call.parameters["branch"], call.world
    sha = world.repository.branches().get(name)
    if sha is None:
        raise ApiError(404, "Branch not found")
    rules = world.state.protection
    protects = name == world.state.default_branch and (rules.checks or rules.approvals)
    commit = world.repository.commit_of(sha)
    return Answer(200, shapes.branch(call.links, name, commit, rules if protects else None))


def resolve(call: Call) -> str:
    """The commit that a `ref` in the path means; raises 422 where there is none."""
    ref = call.parameters["ref"]
    sha = call.world.repository.resolve(ref)
    if sha is None:
        raise ApiError(422, f"No commit found for SHA: {ref}")
    return sha
