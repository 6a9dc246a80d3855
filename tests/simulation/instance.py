"""One instance of the app, with a clock that is slightly wrong; the scheduler controls its effects."""

from collections.abc import Mapping
from typing import Any

import requests
from requests.adapters import BaseAdapter
from urllib3 import HTTPHeaderDict

from shared.app import App, Services, Stores
from shared.triggers import Triggers
from tests.fakes.direct import make_response
from tests.simulation.crew import Crew, Stop
from tests.simulation.messages import Request

HERE = "https://photos.contoso.com"
TENANT = "0a0a0a0a-0000-0000-0000-000000000001"
SETTINGS = {
    "TENANT_ID": TENANT,
    "CLIENT_ID": "0a0a0a0a-0000-0000-0000-000000000002",
    "SHAREPOINT_HOST": "contoso.sharepoint.com",
    "NOTIFICATION_URL": HERE,
    "CLIENT_STATE_SECRET": "the secret that only the simulation uses",
    "AzureWebJobsStorage": "UseDevelopmentStorage=true",  # never connected to
}


class Time:
    """The true time, which storage and Microsoft use."""

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
    """Bearer tokens that need no request: permissions are not the subject here."""

    def token(self, host: str) -> str:
        return f"token for {host}"

    def forget(self, host: str) -> None:
        """Nothing is kept."""


class Wire(BaseAdapter):
    """Hands each request to the scheduler, which decides its fate."""

    def __init__(self, crew: Crew) -> None:
        super().__init__()
        self._crew = crew

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        del args, kwargs  # timeouts, proxies and certificates belong to connections
        body = request.body or b""
        asked = Request(
            str(request.method), str(request.url), body.encode() if isinstance(body, str) else body
        )
        outcome = self._crew.halt(Stop("call", asked.what, request=asked))
        if isinstance(outcome, Exception):
            raise outcome
        return make_response(request, outcome.status, HTTPHeaderDict(dict(outcome.headers)), outcome.content)

    def close(self) -> None:
        """Nothing is open."""


class Instance:
    """One process with the app in it.

    Args:
        time: the true time.
        skew: seconds by which its clock is wrong.
        crew: the workers, which the scheduler controls.
        stores: tables and queues, shared by all instances.
        settings: the app's settings besides `SETTINGS`.
    """

    def __init__(
        self, time: Time, skew: float, crew: Crew, stores: Stores, settings: Mapping[str, str]
    ) -> None:
        self.clock = Clock(time, skew, crew)
        self.dry_run = settings.get("DRY_RUN") == "true"
        self.app = App(
            {**SETTINGS, **settings},
            clock=self.clock,
            stores=stores,
            tokens=lambda _: Tokens(),
            transport=Wire(crew),
            ring=lambda url: crew.halt(Stop("wait", url)),
        )
        self.triggers = Triggers(self.app)

    @property
    def services(self) -> Services:
        """The app's use cases."""
        return self.app.services
