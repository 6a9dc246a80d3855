"""The target of each picture: guests, geos, localised folders, missing profiles."""

from collections.abc import Iterator

import pytest

from local.azurite import Azurite
from tests.e2e.story import Story, playing, quiet_stage


@pytest.fixture(scope="module")
def shared_story(storage: Azurite) -> Iterator[Story]:
    with playing(
        quiet_stage(storage=storage, settings={"SCOPE": "members+guests", "PHOTO_FOLDER": "Profilbilder"})
    ) as story:
        yield story


def _folders(story: Story, user: str) -> set[tuple[str, str]]:
    return {(file["geo"], file["folder"]) for file in story.people.user(user)["target"]["files"]}


@pytest.mark.parametrize("key", ["id", "upn"])
def test_a_guest_in_scope_is_synced_by_id_and_by_percent_encoded_upn(story: Story, key: str) -> None:
    user = story.add_user(guest=True)
    asked = story.people.user(user)[key]
    assert key == "id" or "#EXT#@" in asked

    answer = story.stage.sync(asked).json()

    assert (answer["user"], answer["outcome"]) == (user, "synced")
    assert story.shows_its_source(user)


def test_a_member_is_found_by_a_upn_in_any_case(story: Story) -> None:
    user = story.add_user(upn="Zoë.O'Neil@contoso.onmicrosoft.com")

    assert story.stage.sync("ZOË.o'neil@CONTOSO.onmicrosoft.com").json()["outcome"] == "synced"
    assert story.shows_its_source(user)


def test_the_folder_is_found_under_its_localised_name(story: Story) -> None:
    user = story.add_user(geo="ger", folder="Bilder der Profile")

    assert story.stage.sync(user).json()["outcome"] == "synced"

    assert story.shows_its_source(user)
    assert _folders(story, user) == {("ger", "Bilder der Profile")}


def test_of_two_folders_the_one_with_the_current_picture_is_used(story: Story) -> None:
    user = story.add_user(geo="nam", folder="Profile Pictures")
    story.people.configure(user, picture=True)
    story.people.configure(user, folder="Profilbilder")

    assert story.stage.sync(user).json()["outcome"] == "synced"

    assert story.shows_its_source(user)
    assert _folders(story, user) == {("nam", "Profile Pictures")}


def test_of_two_folders_without_a_picture_the_configured_one_is_used(story: Story) -> None:
    user = story.add_user(geo="jpn", folder="Profilbilder")
    story.people.configure(user, folder="Profile Pictures")

    assert story.stage.sync(user).json()["outcome"] == "synced"

    assert story.shows_its_source(user)
    assert _folders(story, user) == {("jpn", "Profilbilder")}


def test_the_administrator_is_asked_if_nothing_decides_on_the_folder(story: Story) -> None:
    user = story.add_user(geo="can", folder="Profile Pictures")
    story.people.configure(user, folder="Photos de profil")

    answer = story.stage.sync(user).json()

    assert answer["outcome"] == "deferred"
    assert "PHOTO_FOLDER" in answer["reason"]
    assert story.shows_nothing(user)
    assert story.writes() == []


def test_a_user_of_another_geo_is_written_on_the_hosts_of_that_geo(story: Story) -> None:
    user = story.add_user(geo="eur")

    assert story.stage.sync(user).json()["outcome"] == "synced"

    assert story.shows_its_source(user)
    assert {each["host"] for each in story.writes()} == {
        "contosoeur-my.sharepoint.com",
        "contosoeur-admin.sharepoint.com",
    }
    assert story.ledger(user)["geo"] == "contosoeur-my.sharepoint.com"


def test_a_known_user_who_moved_to_another_geo_is_looked_up_once(story: Story) -> None:
    user = story.add_synced_user()

    story.people.change(user, geo="aus")
    story.people.draw_photo(user)
    answer = story.stage.sync(user).json()

    assert answer["outcome"] == "synced"
    assert story.shows_its_source(user)
    assert story.ledger(user)["geo"] == "contosoaus-my.sharepoint.com"
    lookups = [each for each in story.history(service="sharepoint") if each["method"] == "GET"]
    assert len(lookups) == 2  # the profile and the folders


def test_a_user_without_a_profile_is_deferred_and_synced_once_it_exists(story: Story) -> None:
    user = story.add_user()
    story.people.configure(user, profile=False)

    answer = story.stage.sync(user).json()
    assert (answer["outcome"], answer["reason"]) == (
        "deferred",
        "SharePoint has no profile of this user yet",
    )
    assert story.writes() == []

    story.people.configure(user, profile=True)
    assert story.stage.sync(user).json()["outcome"] == "synced"
    assert story.shows_its_source(user)


def test_a_profile_without_object_id_is_accepted_by_its_account_and_marked(story: Story) -> None:
    user = story.add_user()
    story.people.configure(user, object_id="")

    answer = story.stage.sync(user).json()

    assert (answer["outcome"], answer["reason"]) == ("synced", "identity unconfirmed")
    assert story.shows_its_source(user)
