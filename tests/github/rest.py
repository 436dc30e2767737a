"""The REST API: which operation a request means, whether GitHub knows it so, and its answer."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from tests.github.calls import Answer, Asked, Call, Route
from tests.github.contract import Contract
from tests.github.errors import ApiError, forbidden, not_found
from tests.github.links import Links
from tests.github.routes import find
from tests.github.state import User
from tests.github.traffic import Arrival
from tests.github.world import World


@dataclass(frozen=True)
class Found:
    """What a request means: an operation, or the answer that is clear before it is carried out."""

    route: Route | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    answer: Answer | None = None


class Rest:
    """Looks at requests and answers them. What is wrong with either goes to `violations`."""

    def __init__(self, world: World, contract: Contract | None, violations: list[str]) -> None:
        self._world = world
        self._contract = contract
        self._violations = violations

    def look(self, arrival: Arrival, site: str) -> Found:
        """Find the operation, and hold the request against GitHub's description."""
        path = self._path(arrival, site)
        if isinstance(path, Answer):
            return Found(answer=path)
        found = find(arrival.method, path)
        if found is None:
            self._violations.append(f"the fake GitHub does not know {arrival.method} {arrival.path}")
            return _refused(not_found())
        route, parameters = found
        try:
            body = json.loads(arrival.body) if arrival.body else None
        except ValueError:
            self._violations.append(f"{route.operation}: the body is no JSON")
            return _refused(ApiError(400, "Problems parsing JSON"))
        if self._contract is not None:
            self._violations += self._contract.check_parameters(route.operation, parameters, arrival.query)
            if wrong := self._contract.check_body(route.operation, body):
                self._violations += wrong
                return _refused(ApiError(422, "Invalid request."))
        return Found(route, parameters, body)

    def answer(self, found: Found, arrival: Arrival, user: User, links: Links) -> Answer:
        """Carry a request out, and hold the answer against GitHub's description."""
        if found.answer is not None or found.route is None:
            return found.answer or Answer(404)
        operation = found.route.operation
        fields = Asked(found.body) if isinstance(found.body, dict) else found.body
        url, query = f"{links.site}{arrival.raw_path}", Asked(arrival.query)
        call = Call(self._world, user, links, url, found.parameters, query, fields)
        try:
            answer = self._carry_out(found.route, call)
        except ApiError as error:
            answer = _answer(error)
        else:
            ignored = [*call.query.unread(), *call.fields.unread()]
            self._violations += [f"{operation}: the fake GitHub ignores {name}" for name in ignored]
        if self._contract is not None:
            self._violations += self._contract.check_answer(operation, answer.status, answer.body)
        return answer

    def _carry_out(self, route: Route, call: Call) -> Answer:
        if "repo" in call.parameters:
            asked = f"{call.parameters['owner']}/{call.parameters['repo']}"
            if asked.lower() != self._world.state.full_name.lower():
                raise not_found()
        if not call.actor.may(route.needs):
            raise forbidden()
        return route.handler(call)

    def _path(self, arrival: Arrival, site: str) -> str | Answer:
        """The path to look up; a redirect where the repository has another name today.

        GitHub redirects to an address with the number of the repository.
        """
        state, path = self._world.state, arrival.bare_path
        by_id = f"/repositories/{state.id}"
        if f"{path}/".startswith(f"{by_id}/"):
            return f"/repos/{state.full_name}{path.removeprefix(by_id)}"
        parts = path.split("/", 4)
        if parts[1] != "repos" or unquote("/".join(parts[2:4])).lower() not in state.former_names:
            return path
        rest = "".join(f"/{part}" for part in parts[4:])
        url = f"{site}{arrival.prefix}{by_id}{rest}"
        reads = arrival.method == "GET"
        moved = ApiError(301, "Moved Permanently") if reads else ApiError(307, "Temporary Redirect")
        query = f"?{arrival.query_string}" if arrival.query_string else ""
        return Answer(moved.status, {**moved.body(), "url": url}, {"Location": url + query})


def _answer(error: ApiError) -> Answer:
    return Answer(error.status, error.body())


def _refused(error: ApiError) -> Found:
    return Found(answer=_answer(error))
