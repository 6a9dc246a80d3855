"""The stage on which most tests run. A module whose tests need other settings has its own `shared_story`."""

from collections.abc import Iterator

import pytest
from azure.data.tables import TableServiceClient
from azure.storage.queue import QueueServiceClient

from local.azurite import Azurite
from tests.e2e.apps import fast_app
from tests.e2e.story import Story, playing, quiet_stage


@pytest.fixture(scope="module")
def storage(azurite: Azurite) -> Azurite:
    """The storage account with nothing in it."""
    with (
        QueueServiceClient.from_connection_string(azurite.connection_string) as queues,
        TableServiceClient.from_connection_string(azurite.connection_string) as tables,
    ):
        for queue in list(queues.list_queues()):
            queues.delete_queue(queue)
        for table in list(tables.list_tables()):
            tables.delete_table(table.name)
    return azurite


@pytest.fixture(scope="module")  # not longer: even an idle host polls its queues
def shared_story(storage: Azurite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    app = fast_app(tmp_path_factory.mktemp("app"))
    with playing(quiet_stage(storage=storage, app=app)) as story:
        yield story


@pytest.fixture
def story(shared_story: Story) -> Story:
    """The module's story, with nothing left over from the last test: no message, no fault, no history."""
    return shared_story.reset()
