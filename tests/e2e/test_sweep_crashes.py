"""Every instance dies in the middle of a sweep, more than once; the sweep goes on where it stopped."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from local.azurite import Azurite
from local.host.process import HostProcess
from tests.e2e.apps import fast_app
from tests.e2e.story import SWEEPING, Story, playing, quiet_stage

LEASE = 2  # seconds after which a dead instance's message comes back, instead of 600
USERS, CHANGED = 200, 10
LANE = "AzureWebJobs.sync_swept.Disabled"


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Path:
    # One at a time: two syncs of a user at once would make one of them wait for half a minute.
    return fast_app(tmp_path_factory.mktemp("app"), retry_after=0, at_once=1)


@pytest.fixture(scope="module")
def shared_story(storage: Azurite, app: Path) -> Iterator[Story]:
    # The syncs that the sweep queues wait for its end, so that its figures are predictable.
    settings = {**SWEEPING, LANE: "true"}
    with playing(quiet_stage(storage=storage, app=app, settings=settings, message_lease=LEASE)) as story:
        yield story


@contextmanager
def _two_instances_that_die(story: Story, app: Path) -> Iterator[None]:
    """Within the block two instances share the work; at its end both are killed at once."""
    stage = story.stage
    if stage.host is None or stage.host.returncode is not None:
        stage.start_host()
    tls = stage.tenant.host_certificate
    with HostProcess.start(app, stage.environment, tls=tls, message_lease=LEASE) as other:
        yield
        assert stage.host
        stage.host.kill()
        other.kill()


def _answered(story: Story) -> int:
    return sum(len(row["letters"]) - row["letters"].count("?") for row in story.rows("photoparts"))


def _work_off(story: Story) -> None:
    """Let the app do what the sweep queued; the history begins with that."""
    story.people.clear_history()
    story.restart(**{LANE: "false"})
    story.until(lambda: not story.waiting("photo-backfill"), seconds=30, what="what the sweep queued")


def test_a_sweep_whose_instances_are_all_killed_twice_finishes_with_correct_figures(
    story: Story, app: Path
) -> None:
    users = story.people.add(count=USERS, photo="shared")
    changed = users[::20]
    story.settle(*changed)
    story.people.arm({"service": "graph", "path": "batch", "latency": 0.4})

    with _two_instances_that_die(story, app):
        sweep = story.sweep()
        story.until(lambda: story.rows("photoparts"), what="the page is read")
    assert _answered(story) < USERS
    with _two_instances_that_die(story, app):
        story.until(lambda: _answered(story), what="the first answers")
    assert 0 < _answered(story) < USERS
    story.people.disarm()
    story.stage.start_host()

    story.until(lambda: (s := story.status())["sweep"] is None and s["sweeps"], what="the end of the sweep")
    (figures,) = story.status()["sweeps"]
    assert (figures["id"], figures["state"]) == (sweep, "finished")
    expected = {"seen": USERS, "changed": CHANGED, "unchanged": USERS - CHANGED, "unanswered": 0}
    assert {name: figures[name] for name in expected} == expected
    assert story.waiting("photo-backfill") >= CHANGED

    _work_off(story)
    assert all(story.settled(user) for user in changed)
    assert all(story.shows_its_source(user) for user in changed)
    assert len(story.writes()) == 4 * CHANGED  # though some were queued twice
    assert story.poisoned() == 0
