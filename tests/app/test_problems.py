"""A refused token is noted where `status` finds it, by the instance that met it, but not at every call."""

from typing import NoReturn

import pytest

from shared.errors import ConfigError
from shared.rest.problems import Problems, WatchedTokens
from tests.fakes.external_steps import drop_connection
from tests.fakes.world import World

EXPIRED = "Entra gives no token (AADSTS700027): check CLIENT_CERTIFICATE"
OTHER = "Entra gives no token (AADSTS700016): check CLIENT_ID"


def refuse(problem: str = EXPIRED) -> NoReturn:
    raise ConfigError([problem])


def shown(world: World) -> list[str]:
    return world.app.status_report.status()["problems"]


def test_a_problem_of_one_instance_shows_in_the_status_of_every_instance(world: World) -> None:
    user = world.add()
    world.steps.on("call graph.microsoft.com", refuse)
    world.hint(user)
    world.host.deliver_due()
    world.clock.advance(90)

    assert world.start().status_report.status()["problems"] == [f"{EXPIRED} (met 90 s ago)"]


def test_a_refusal_is_shown_for_an_hour(world: World) -> None:
    Problems(world.state, world.clock).note(EXPIRED)
    world.clock.advance(3599)
    assert shown(world) == [f"{EXPIRED} (met 3599 s ago)"]
    world.clock.advance(1)
    assert shown(world) == []


def test_an_instance_notes_one_refusal_per_minute(world: World) -> None:
    refusals = Problems(world.state, world.clock)
    for problem in (EXPIRED, OTHER, OTHER):
        refusals.note(problem)
        world.clock.advance(20)
    assert world.steps.taken.count("write photostate") == 1
    assert shown(world) == [f"{EXPIRED} (met 60 s ago)"]

    refusals.note(OTHER)

    assert shown(world) == [f"{OTHER} (met 0 s ago)"]


def test_a_refusal_that_cannot_be_noted_is_raised_all_the_same(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    class Refused:
        def token(self, host: str) -> str:
            raise ConfigError([f"{EXPIRED} for {host}"])

    world.steps.on("write photostate", drop_connection)
    with pytest.raises(ConfigError, match=r"for graph\.microsoft\.com"):
        WatchedTokens(Refused(), Problems(world.state, world.clock)).token("graph.microsoft.com")
    assert "problem.not_noted" in caplog.text


@pytest.mark.parametrize(
    ("given", "told"),
    [
        pytest.param("", None, id="none"),
        pytest.param("/no/such/file.pem", "this file does not exist", id="no file"),
        pytest.param("-----BEGIN PRIVATE KEY-----", "was cut off", id="half of one"),
        pytest.param("eA==" * 200, "neither a PEM nor base64", id="not base64"),
        pytest.param("eA" * 400, "neither a PFX nor a PEM", id="something else"),
    ],
)
def test_what_is_wrong_with_the_certificate_is_named_before_a_token_is_asked_for(
    world: World, given: str, told: str | None
) -> None:
    problems = world.start(CLIENT_CERTIFICATE=given).status_report.status()["problems"]

    assert len(problems) == bool(told)
    assert all(told in problem for problem in problems)
    assert world.tenant.history.entries(service="entra") == []
