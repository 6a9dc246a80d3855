"""The house in which most stories play. A module whose stories need other settings has its own `house`."""

from collections.abc import Iterator

import pytest
from azure.data.tables import TableServiceClient
from azure.storage.queue import QueueServiceClient

from local.azurite import Azurite
from tests.e2e.apps import brisk_app
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


@pytest.fixture(scope="module")  # not longer: even an idle host looks for messages
def house(storage: Azurite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    app = brisk_app(tmp_path_factory.mktemp("app"))
    with playing(quiet_stage(storage=storage, app=app)) as story:
        yield story


@pytest.fixture
def story(house: Story) -> Story:
    """The house, with nothing left over from the story before: nothing queued, no fault, no history."""
    return house.afresh()
