"""Permissions that are withdrawn or missing: logged as errors and waited for, and nothing is lost.

Tokens outlive the permissions in them, so each test begins with a host without tokens.
"""

from collections.abc import Iterator
from uuid import uuid4

import pytest

from local.azurite import Azurite
from tests.e2e.story import Json, Story, playing, quiet_stage


@pytest.fixture(scope="module")
def shared_story(storage: Azurite) -> Iterator[Story]:
    with playing(quiet_stage(storage=storage)) as story:
        yield story


def _waits_hidden(story: Story, queue: str) -> bool:
    story.until(lambda: story.waiting(queue) == 1, what="only the successor is left")
    return story.peek(queue) == [] and story.poisoned() == 0


def _logs_error(story: Story, event: str) -> bool:
    return any("ERROR" in line and event in line for line in story.log.splitlines())


def test_checks_without_graphs_permission_wait_and_log_an_error(story: Story) -> None:
    user = story.add_user()
    story.people.consent(graph=[])
    story.restart()

    story.send_check(user)
    story.until(lambda: "check.deferred" in story.log, what="the check is deferred")

    assert _waits_hidden(story, "photo-checks")
    assert _logs_error(story, "check.denied")
    answer = story.stage.sync(user)
    assert answer.status_code == 503
    assert "the token lacks the role User.Read.All" in answer.json()["error"]
    assert set(story.closed()) == {"graph"}
    assert story.ledger(user) == {}


def test_syncs_without_sharepoints_permissions_wait_until_they_are_granted(story: Story) -> None:
    user, closed = story.add_user(), "sharepoint-profiles@contoso-admin.sharepoint.com"
    story.people.consent(sharepoint=["User.Read.All", "Sites.FullControl.All"])
    story.restart()

    story.send_sync(user)
    story.until(lambda: "photo.deferred" in story.log, user)

    assert _waits_hidden(story, "photo-syncs")
    assert _logs_error(story, "photo.deferred")
    assert not story.ledger(user).get("settled_etag")
    assert set(story.closed()) == {closed}
    assert "lacks the role User.ReadWrite.All of SharePoint" in story.status()["problems"][0]
    answer = story.stage.sync(user)
    assert answer.status_code == 503
    assert answer.json()["reason"].startswith(f"{closed}: its gate is closed: ")
    assert 880 < int(answer.headers["Retry-After"]) <= 900

    story.reset().restart()
    assert story.stage.sync(user).json()["outcome"] == "synced"
    assert story.settled(user)
    assert story.shows_its_source(user)


def test_a_lesser_role_for_files_is_named_where_it_is_refused_and_enough_where_it_is_accepted(
    story: Story,
) -> None:
    user, other, lesser = story.add_user(), story.add_user(), "Sites.ReadWrite.All"
    known = f"the token has the role {lesser}, the one known to work is Sites.FullControl.All"
    story.people.consent(sharepoint=["User.ReadWrite.All", lesser])
    story.restart()

    refused = story.stage.sync(user)
    assert refused.status_code == 502
    assert refused.json()["reason"].endswith(known)
    assert story.status()["problems"] == []
    story.stage.sync(other)  # which makes it the service's refusal
    (problem,) = story.status()["problems"]
    assert problem.endswith(known)

    story.reset().restart()
    story.people.consent(sharepoint=["User.ReadWrite.All", lesser])
    story.people.turn(files_least_role=lesser)
    assert story.stage.sync(user).json()["outcome"] == "synced"
    assert story.shows_its_source(user)


@pytest.mark.parametrize(("setting", "error"), [("CLIENT_ID", "AADSTS700016"), ("TENANT_ID", "TENANT_ID")])
def test_an_application_or_directory_unknown_to_entra_waits_for_its_administrator(
    story: Story, setting: str, error: str
) -> None:
    user = story.add_user()
    story.restart(**{setting: str(uuid4())})

    story.send_check(user)
    story.until(lambda: "check.deferred" in story.log, what="the check is deferred")

    assert _waits_hidden(story, "photo-checks")
    answer = story.stage.sync(user)
    assert answer.status_code == 500
    for problem in (answer.json()["problems"][0], story.status()["problems"][0]):
        assert error in problem
        assert setting in problem


def test_jobs_wait_during_an_outage_of_entra_and_no_user_fails(story: Story) -> None:
    story.restart()
    story.add_synced_user()  # tokens for Graph and the central hosts are there
    mishaps: dict[str, Json] = {
        "swe": {"status": 429, "retry_after": 20},
        "fin": {"status": 200, "body": '{"token_type": "Bearer", "access_token": "eyJhbGci'},
        "che": {"drop": True},
    }
    for geo, mishap in mishaps.items():
        user = story.add_user(geo=geo)  # the hosts of a geo need tokens of their own
        story.people.arm({"service": "entra", "path": "token", **mishap})

        answer = story.stage.sync(user)

        assert (answer.status_code, answer.json().get("outcome")) == (503, "deferred"), geo
        assert int(answer.headers["Retry-After"]) >= 1
        assert story.ledger(user)["claim_until"] == 0
    assert "ERROR" not in story.log
    assert "eyJ" not in story.log


def test_a_managed_identity_works_as_well_as_a_certificate(story: Story) -> None:
    user = story.add_user()
    story.restart(CLIENT_CERTIFICATE="", **story.stage.tenant.identity_settings)

    assert story.stage.sync(user).json()["outcome"] == "synced"

    assert story.shows_its_source(user)
