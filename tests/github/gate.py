"""Where every request comes in: the log, faults, who is asking, the rate limit, ETags."""

import base64
import hashlib
import json
from typing import Any

from tests.github import git_http
from tests.github.calls import Answer
from tests.github.contract import Contract
from tests.github.errors import ApiError, forbidden
from tests.github.faults import PRIMARY, Faults, Slow
from tests.github.graph import Graph
from tests.github.links import Links
from tests.github.rest import Found, Rest
from tests.github.routes import RATE_LIMIT
from tests.github.state import Token, User
from tests.github.traffic import Allowance, Arrival, Exchange, Reply, Traffic
from tests.github.world import World

PLAIN = {"Content-Type": "text/plain; charset=utf-8"}


class Gate:
    """Answers requests, one after the other where they see or change the state.

    Whatever is wrong with a request or with the fake itself goes to `violations`: a fixture fails the
    test with it. Requests are looked at even where a fault keeps them from being carried out.
    """

    def __init__(self, world: World, contract: Contract | None) -> None:
        self.world = world
        self.faults = Faults()
        self.traffic = Traffic()
        self.violations: list[str] = []
        self.core = Allowance("core", world.state.now)
        self.graphql = Allowance("graphql", world.state.now)
        self.site = self.storage = ""
        """Set once the ports are known."""
        self._contract = contract
        self._rest = Rest(world, contract, self.violations)
        # The schema comes with the contracts.
        self._graph = Graph(world, self.graphql, self.violations) if contract is not None else None

    def answer(self, arrival: Arrival) -> Reply:
        """Answer a request, well or as badly as a test wants it."""
        exchange = self.traffic.record(arrival, frozenset(self.world.state.tokens))
        for place in exchange.leaks:
            self.violations.append(f"{arrival.method} {exchange.path}: a token in {place}")
        found = self._look(arrival)
        trouble = self.faults.take(arrival)
        if isinstance(trouble, Slow) and not trouble.after_write:
            trouble.wait()
        carried_out = trouble is None or trouble.after_write or isinstance(trouble, Slow)
        reply = self._carry_out(arrival, exchange, found) if carried_out else None
        if isinstance(trouble, Slow) and trouble.after_write:
            trouble.wait()
        if trouble is not None:
            reply = trouble.spoil(reply)
        assert reply is not None
        exchange.status = reply.status
        return reply

    def _look(self, arrival: Arrival) -> Found:
        """What a request to the REST API means; nothing for all others."""
        if arrival.to_storage or git_http.parse(arrival.path) or arrival.bare_path == "/rate_limit":
            return Found()
        if arrival.bare_path != "/graphql":
            return self._rest.look(arrival, self.site)
        if self._graph is not None:
            self._graph.check(_parsed(arrival))
        return Found()

    def _carry_out(self, arrival: Arrival, exchange: Exchange, found: Found) -> Reply:
        if arrival.to_storage:
            return self._log(arrival)
        with self.world.acting():
            address = git_http.parse(arrival.path)
            return self._git(arrival, *address) if address else self._api(arrival, exchange, found)

    def _token(self, arrival: Arrival) -> Token:
        """Raises 401, as GitHub does, without a token or with a wrong one."""
        scheme, _, value = arrival.headers.get("authorization", "").partition(" ")
        if not value:
            raise ApiError(401, "Requires authentication")
        if scheme.lower() == "basic":
            value = base64.b64decode(value).decode(errors="replace").partition(":")[2]
        token = self.world.state.tokens.get(value)
        if token is None:
            raise ApiError(401, "Bad credentials")
        return token

    # --- git and logs ---------------------------------------------------------------------------------

    def _git(self, arrival: Arrival, name: str, rest: str) -> Reply:
        state = self.world.state
        try:
            user = state.users[self._token(arrival).login]
        except ApiError:
            return git_http.unauthorized()
        if name.lower() != state.full_name.lower():
            return git_http.refused(404, "Repository not found.")
        if git_http.pushes(arrival) and not user.may("write"):
            return git_http.refused(403, f"Permission to {state.full_name}.git denied to {user.login}.")
        reply = git_http.serve(self.world.repository.path, rest, arrival, user.login)
        self.world.pulls.refresh()
        return reply

    def _log(self, arrival: Arrival) -> Reply:
        """The place of the logs knows no tokens, and refuses whoever sends one, as GitHub's does."""
        if "authorization" in arrival.headers:
            self.violations.append(f"GET {arrival.path}: credentials were sent to another host")
            return Reply(400, dict(PLAIN), b"InvalidAuthenticationInfo")
        key = arrival.path.removeprefix("/logs/")
        check = self.world.state.checks.get(int(key)) if key.isdecimal() else None
        if check is None or "signature" not in arrival.query:
            return Reply(404, dict(PLAIN), b"BlobNotFound")
        return Reply(200, dict(PLAIN), check.log.encode())

    # --- the API --------------------------------------------------------------------------------------

    def _api(self, arrival: Arrival, exchange: Exchange, found: Found) -> Reply:
        allowance = self.graphql if arrival.bare_path == "/graphql" else self.core
        scopes: tuple[str, ...] = ()
        try:
            token = self._token(arrival)
            user, scopes = self.world.state.users[token.login], token.scopes
            if "user-agent" not in arrival.headers:
                raise forbidden("Request forbidden by administrative rules.")
            answer = self._answer(arrival, user, found)
        except ApiError as error:
            answer = Answer(error.status, error.body())
        status, body = answer.status, b"" if answer.body is None else json.dumps(answer.body).encode()
        headers = {
            "Cache-Control": "private, max-age=60, s-maxage=60",
            "X-GitHub-Media-Type": "github.v3; format=json",
            "X-GitHub-Request-Id": f"FA4E:{len(self.traffic.exchanges):06X}",
            "X-OAuth-Scopes": ", ".join(scopes),
            **answer.headers,
        }
        if arrival.method == "GET" and status == 200:
            headers["ETag"] = f'W/"{hashlib.sha256(body).hexdigest()}"'
            if arrival.headers.get("if-none-match") == headers["ETag"]:
                status, body = 304, b""
        exchange.charged = status not in {304, 401} and arrival.bare_path != "/rate_limit"
        if exchange.charged:
            allowance.charge()
        if body:
            headers["Content-Type"] = "application/json; charset=utf-8"
        return Reply(status, {**headers, **allowance.headers()}, body)

    def _answer(self, arrival: Arrival, user: User, found: Found) -> Answer:
        links = Links(self.site + arrival.prefix, self.site, self.storage, self.world.state.full_name)
        if arrival.bare_path == "/rate_limit":
            return self._rate_limit()
        if arrival.bare_path == "/graphql":
            return self._ask_graph(arrival, user, links)
        if not self.core.remaining:
            raise forbidden(PRIMARY)
        return self._rest.answer(found, arrival, user, links)

    def _rate_limit(self) -> Answer:
        core, graphql = self.core.shape(), self.graphql.shape()
        search = {**core, "limit": 30, "remaining": 30, "used": 0}
        answer = Answer(
            200, {"resources": {"core": core, "search": search, "graphql": graphql}, "rate": core}
        )
        if self._contract is not None:
            self.violations += self._contract.check_answer(RATE_LIMIT, answer.status, answer.body)
        return answer

    def _ask_graph(self, arrival: Arrival, user: User, links: Links) -> Answer:
        if self._graph is None:
            raise AssertionError("GraphQL needs GitHub's schema: run tools/contracts")
        if not self.graphql.remaining:
            return Answer(200, {"errors": [{"type": "RATE_LIMITED", "message": PRIMARY}]})
        return Answer(200, self._graph.answer(_parsed(arrival), user, links))


def _parsed(arrival: Arrival) -> Any:
    """The JSON of a query, None for what is none."""
    try:
        return json.loads(arrival.body)
    except ValueError:
        return None
