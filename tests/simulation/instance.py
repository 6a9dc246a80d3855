"""One instance of the app, with a clock that is a little wrong, its hands tied to the scheduler."""

import io
from collections.abc import Mapping
from typing import Any

import requests
from requests.adapters import BaseAdapter
from urllib3 import HTTPHeaderDict, HTTPResponse

from shared.app import App, Services, Stores
from shared.triggers import Triggers
from tests.simulation.crew import Crew, Stop
from tests.simulation.faces import Asked, Faces, Given, Mood

HERE = "https://photos.contoso.com"
TENANT = "0a0a0a0a-0000-0000-0000-000000000001"
SETTINGS = {
    "TENANT_ID": TENANT,
    "CLIENT_ID": "0a0a0a0a-0000-0000-0000-000000000002",
    "SHAREPOINT_HOST": "contoso.sharepoint.com",
    "NOTIFICATION_URL": HERE,
    "CLIENT_STATE_SECRET": "the simulation keeps this one to itself",
    "AzureWebJobsStorage": "UseDevelopmentStorage=true",  # never dialled
}


class Time:
    """The true time, as storage and Microsoft have it."""

    def __init__(self, now: float) -> None:
        self._now = self.began = now

    def now(self) -> float:
        """Return Unix seconds."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._now += max(0.0, seconds)


class Clock:
    """`shared.clock.Clock` of an instance: `skew` seconds wrong. Its sleep is a stop."""

    def __init__(self, time: Time, skew: float, crew: Crew) -> None:
        self._time = time
        self._skew = skew
        self._crew = crew

    def now(self) -> float:
        return self._time.now() + self._skew

    def monotonic(self) -> float:
        return self._time.now() - self._time.began

    def sleep(self, seconds: float) -> None:
        self._crew.halt(Stop("wait", until=self._time.now() + seconds))


class Tokens:
    """Bearer tokens that cost nothing: who may do what is not the question here."""

    def token(self, host: str) -> str:
        return f"token for {host}"

    def forget(self, host: str) -> None:
        """Nothing is kept."""


class Wire(BaseAdapter):
    """Hands each request to the scheduler, which says what becomes of it."""

    def __init__(self, crew: Crew, faces: Faces) -> None:
        super().__init__()
        self._crew = crew
        self._faces = faces

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        del args, kwargs  # timeouts, proxies and certificates belong to connections
        body = request.body or b""
        asked = Asked(str(request.method), str(request.url), body.encode() if isinstance(body, str) else body)
        became = self._crew.halt(Stop("call", asked.what, request=asked))
        if isinstance(became, Exception):
            raise became
        return _response(request, became or self._faces.respond(asked, Mood()))

    def close(self) -> None:
        """Nothing is open."""


def _response(request: requests.PreparedRequest, given: Given) -> requests.Response:
    answer = requests.Response()
    answer.status_code = given.status
    answer.headers.update(given.headers)
    answer.url, answer.request = str(request.url), request
    answer.raw = HTTPResponse(
        io.BytesIO(given.content), HTTPHeaderDict(dict(given.headers)), given.status, preload_content=False
    )
    return answer


class Instance:
    """One process with the app in it.

    Args:
        time: the true time.
        skew: seconds by which its clock is wrong.
        crew: who schedules it.
        faces: Microsoft.
        stores: tables and queues, shared by all instances.
        settings: the app's settings besides those that are always the same.
    """

    def __init__(
        self, time: Time, skew: float, crew: Crew, faces: Faces, stores: Stores, settings: Mapping[str, str]
    ) -> None:
        self.clock = Clock(time, skew, crew)
        self.dry_run = settings.get("DRY_RUN") == "true"
        self.app = App(
            {**SETTINGS, **settings},
            clock=self.clock,
            stores=stores,
            tokens=lambda _: Tokens(),
            transport=Wire(crew, faces),
            ring=lambda url: crew.halt(Stop("wait", url)),
        )
        self.triggers = Triggers(self.app)

    @property
    def services(self) -> Services:
        """The app's use cases."""
        return self.app.services
