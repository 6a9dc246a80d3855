"""The target of each picture: guests, geos, localised folders."""

from collections.abc import Iterator

import pytest

from local.azurite import Azurite
from tests.e2e.story import Story, playing, quiet_stage


@pytest.fixture(scope="module")
def shared_story(storage: Azurite) -> Iterator[Story]:
    with playing(quiet_stage(storage=storage, settings={"SCOPE": "members+guests"})) as story:
        yield story


def test_a_guest_in_scope_is_synced_by_percent_encoded_upn(story: Story) -> None:
    user = story.add_user(guest=True)
    name = story.people.user(user)["upn"]
    assert "#EXT#@" in name

    answer = story.stage.sync(name).json()

    assert (answer["user"], answer["outcome"]) == (user, "synced")
    assert story.shows_its_source(user)


def test_a_user_is_written_in_their_geo_under_its_folders_name_and_looked_up_once_after_a_move(
    story: Story,
) -> None:
    user = story.add_user(geo="ger", folder="Bilder der Profile")

    assert story.stage.sync(user).json()["outcome"] == "synced"
    assert story.shows_its_source(user)
    files = story.people.user(user)["target"]["files"]
    assert {(file["geo"], file["folder"]) for file in files} == {("ger", "Bilder der Profile")}
    hosts = {f"contosoger-{host}.sharepoint.com" for host in ("my", "admin")}
    assert {each["host"] for each in story.writes()} == hosts

    story.people.change(user, geo="aus")
    story.people.draw_photo(user)
    story.people.clear_history()
    assert story.stage.sync(user).json()["outcome"] == "synced"
    assert story.shows_its_source(user)
    assert story.ledger(user)["geo"] == "contosoaus-my.sharepoint.com"
    lookups = [each for each in story.history(service="sharepoint") if each["method"] == "GET"]
    assert len(lookups) == 2  # the profile and the folders
