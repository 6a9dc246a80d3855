"""The admin face: plain HTTP and JSON on its own port, for demo, tests and people. Nothing of Microsoft's.

Each call is one method; its docstring begins with the route. A refusal says what is accepted.
"""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map, Rule
from werkzeug.wrappers import Request, Response

from local.tenant.admin.bodies import AdminRefusal, check, describe, read
from local.tenant.admin.domain import DomainCalls
from local.tenant.admin.entra import EntraCalls
from local.tenant.admin.groups import GroupCalls
from local.tenant.admin.people import PeopleCalls
from local.tenant.admin.traffic import TrafficCalls
from local.tenant.directory.world import World
from local.tenant.graph.face import Graph
from local.tenant.knobs import Knobs

Json = dict[str, Any]


@dataclass(slots=True, kw_only=True)
class ClockAdvance:
    """The body of `POST /clock`: seconds."""

    advance: float


class AdminFace:
    """Answer the admin face's calls. `settings` makes the body of `GET /settings`, `reset` a fresh tenant."""

    def __init__(
        self,
        world: World,
        people_calls: PeopleCalls,
        graph: Graph,
        entra_calls: EntraCalls,
        traffic_calls: TrafficCalls,
        *,
        settings: Callable[[], Json],
        reset: Callable[[], None],
    ) -> None:
        self._world = world
        self._graph = graph
        self._settings = settings
        self._reset = reset
        others = _list_others(people_calls, GroupCalls(world), DomainCalls(world), traffic_calls, entra_calls)
        self._routes = Map([*self._list_own(), *others])

    def respond(self, request: Request) -> Response:
        """Answer one call."""
        try:
            endpoint, values = self._routes.bind_to_environ(request.environ).match()
            answer = endpoint(request, **values)
        except AdminRefusal as error:
            return _json({"error": str(error), **error.details}, error.status)
        except HTTPException as error:
            return _json({"error": f"{error.name}; GET / lists the calls"}, error.code or 500)
        return answer if isinstance(answer, Response) else _json(answer)

    def calls(self, _: Request) -> Json:
        """`GET /`: every call."""
        rules = self._routes.iter_rules()
        return {"calls": [f"{min((rule.methods or set()) - {'HEAD'})} {rule.rule}" for rule in rules]}

    def settings(self, _: Request) -> Json:
        """`GET /settings`: what an app needs to use this tenant."""
        return self._settings()

    def knobs(self, _: Request) -> Json:
        """`GET /knobs`: the value of each, and the values that it accepts."""
        return {"knobs": asdict(self._world.knobs), "known": describe(Knobs)}

    def turn_knobs(self, request: Request) -> Json:
        """`PUT /knobs`: set those given."""
        wanted = check(Knobs, request.get_json(force=True))
        with self._world.lock:
            for name, value in wanted.items():
                setattr(self._world.knobs, name, value)
        return self.knobs(request)

    def subscriptions(self, _: Request) -> Json:
        """`GET /subscriptions`: every subscription of every application."""
        return {"subscriptions": self._graph.subscriptions()}

    def lose(self, request: Request, key: str) -> Json:
        """`POST /subscriptions/{id}/lose`: remove it without a notification."""
        self._require_subscription(key)
        self._graph.lose(key)
        return self.subscriptions(request)

    def reauthorize(self, request: Request, key: str) -> Json:
        """`POST /subscriptions/{id}/reauthorize`: Graph asks for it with a lifecycle notification."""
        self._require_subscription(key)
        self._graph.reauthorize(key)
        return self.subscriptions(request)

    def clock(self, _: Request) -> Json:
        """`GET /clock`: the tenant's time."""
        return {"now": self._world.clock.now().isoformat()}

    def advance(self, request: Request) -> Json:
        """`POST /clock`: what expires in the tenant expires sooner. Tokens stay on the machine's time."""
        try:
            self._world.clock.advance(read(ClockAdvance, request.get_json(force=True)).advance)
        except (ValueError, OverflowError) as error:
            raise AdminRefusal(str(error)) from error
        return self.clock(request)

    def start_over(self, _: Request) -> Json:
        """`POST /reset`: no people, no subscriptions, default knobs; the settings stay valid."""
        self._reset()
        return {}

    def _list_own(self) -> list[Rule]:
        return [
            _rule("GET", "/", self.calls),
            _rule("GET", "/settings", self.settings),
            _rule("GET", "/knobs", self.knobs),
            _rule("PUT", "/knobs", self.turn_knobs),
            _rule("GET", "/subscriptions", self.subscriptions),
            _rule("POST", "/subscriptions/<key>/lose", self.lose),
            _rule("POST", "/subscriptions/<key>/reauthorize", self.reauthorize),
            _rule("GET", "/clock", self.clock),
            _rule("POST", "/clock", self.advance),
            _rule("POST", "/reset", self.start_over),
        ]

    def _require_subscription(self, key: str) -> None:
        known = [each["id"] for each in self._graph.subscriptions()]
        if key not in known:
            raise AdminRefusal(f"no subscription {key}", 404, known=known)


def _list_others(
    people: PeopleCalls, groups: GroupCalls, domain: DomainCalls, traffic: TrafficCalls, entra: EntraCalls
) -> list[Rule]:
    return [
        _rule("GET", "/users", people.index, "limit"),
        _rule("POST", "/users", people.add),
        _rule("GET", "/users/<key>", people.show),
        _rule("POST", "/users/<key>", people.change),
        _rule("PUT", "/users/<key>/profile", people.configure),
        _rule("GET", "/users/<key>/shown", people.shown, "size"),
        _rule("GET", "/users/<key>/photo", people.photo),
        _rule("PUT", "/users/<key>/photo", people.change_photo, "notify", "raw", "drawn"),
        _rule("DELETE", "/users/<key>/photo", people.remove_photo, "notify"),
        _rule("GET", "/groups", groups.index),
        _rule("POST", "/groups", groups.create),
        _rule("PUT", "/groups/<key>/members", groups.set_members),
        _rule("GET", "/domain", domain.domain),
        _rule("POST", "/domain", domain.rename),
        _rule("GET", "/permissions", entra.permissions),
        _rule("PUT", "/permissions", entra.consent),
        _rule("POST", "/administrators", entra.sign_in),
        _rule("GET", "/history", traffic.requests, "host", "service", "since"),
        _rule("GET", "/history/summary", traffic.summary, "host", "service", "since"),
        _rule("DELETE", "/history", traffic.forget_requests),
        _rule("GET", "/faults", traffic.faults),
        _rule("PUT", "/faults", traffic.arm_faults),
        _rule("DELETE", "/faults", traffic.disarm_faults),
        _rule("GET", "/quota", traffic.quota),
        _rule("PUT", "/quota", traffic.limit),
    ]


def _rule(method: str, path: str, call: Callable[..., Any], *query: str) -> Rule:
    """Return the rule for a call that takes these query parameters and no others."""

    def endpoint(request: Request, **values: str) -> Json | Response:
        if unknown := sorted(request.args.keys() - set(query)):
            raise AdminRefusal(f"unknown in the query: {', '.join(unknown)}", known=query)
        answer: Json | Response = call(request, **values)
        return answer

    return Rule(path, endpoint=endpoint, methods=[method])


def _json(body: Json, status: int = 200) -> Response:
    return Response(json.dumps(body) + "\n", status, content_type="application/json")
