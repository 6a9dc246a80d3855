"""The queues in the whole app: sending, hiding and taking back messages."""

from collections.abc import Callable

import pytest

from shared import jobs
from shared.errors import TryLater
from shared.jobs import Check, Sync
from shared.storage.queues import LONGEST_HIDING, Queues
from tests.fakes.external_steps import drop_connection
from tests.fakes.world import World

USER = "0f000000-0000-4000-8000-000000000001"


# --- jobs ---


@pytest.mark.parametrize(
    ("hidden", "seconds"),
    [
        pytest.param(0.0, 0, id="at once"),
        pytest.param(-3.0, 0, id="already due"),
        pytest.param(0.2, 1, id="rounded up"),
        pytest.param(421.0, 421, id="whole"),
        pytest.param(1e9, LONGEST_HIDING, id="no longer than the service allows"),
    ],
)
def test_a_job_is_hidden_in_whole_seconds(world: World, hidden: float, seconds: int) -> None:
    world.app.queues.send(Sync(USER, "notified", 1.0, 1.0), hidden=hidden)
    assert world.hidden() == [seconds]


@pytest.mark.parametrize(
    ("asked", "jitter", "seconds"), [(100.0, 0.99, 110), pytest.param(None, 0.0, 60, id="as long again")]
)
def test_a_deferred_job_waits_as_long_as_it_should(world: World, asked, jitter, seconds) -> None:
    now = world.clock.now()
    job = Sync(USER, "notified", 5.0, now - 60, tries=3, force=True)
    waited = Queues(world.outbox, jitter=lambda: jitter).defer(job, asked, now=now)
    assert (waited, world.hidden(), world.queued()) == (seconds, [seconds], [job])


@pytest.mark.parametrize(
    "work",
    [
        pytest.param(lambda queues: queues.send(Sync(USER, "notified", 1.0, 1.0)), id="send"),
        pytest.param(
            lambda queues: queues.defer(Check((USER,), "notified", 1.0, 1.0), None, now=2.0), id="defer"
        ),
        pytest.param(lambda queues: queues.defer_raw("photo-syncs", "{}", 9), id="as it came"),
    ],
)
def test_a_queue_out_of_reach_raises_an_error(world: World, work: Callable[[Queues], object]) -> None:
    world.steps.on("put .*", drop_connection)
    with pytest.raises(TryLater):
        work(world.app.queues)
    assert world.outbox.messages == []


def test_a_message_that_waits_for_settings_stays_as_it_came(world: World) -> None:
    body = jobs.write(Sync(USER, "notified", 1.0, 1.0))
    world.app.queues.defer_raw(Sync.queue, body, 900)
    assert [(each.body, each.queue) for each in world.outbox.messages] == [(body, Sync.queue)]
    assert world.hidden() == [900]
