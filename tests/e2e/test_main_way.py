"""One photo's way from Exchange Online to SharePoint Online."""

import time

from tests.e2e.pictures import THUMBNAILS, jpeg
from tests.e2e.story import Story

DOTNET_EPOCH = 62_135_596_800  # seconds from 0001-01-01 to 1970-01-01


def test_a_notified_change_shows_in_sharepoint_in_three_sizes_with_its_properties(story: Story) -> None:
    user = story.add_synced_user()
    story.subscribed()

    began = time.time()
    story.people.set_photo(user, jpeg("darkred", (400, 640)), notify="on")
    story.until(lambda: story.settled(user), user)

    assert story.shows_its_source(user)
    target = story.people.user(user)["target"]
    assert {file["name"]: (file["width"], file["height"]) for file in target["files"]} == {
        f"{user}_{size}Thumb.jpg": (pixels, pixels) for size, pixels in THUMBNAILS.items()
    }
    assert all(file["baseline"] and not file["metadata"] for file in target["files"])
    properties = target["properties"]
    stamp = int(properties.pop("SPS-PictureTimestamp")) - DOTNET_EPOCH
    assert began - 1 <= stamp <= time.time() + 1
    path = f"/User%20Photos/Profile%20Pictures/{user}_MThumb.jpg"
    assert properties == {
        "PictureURL": f"https://contoso-my.sharepoint.com:443{path}",
        "SPS-PicturePlaceholderState": "0",
        "SPS-PictureExchangeSyncState": "1",
        "msOnline-ObjectId": user,
    }
    row = story.ledger(user)
    assert (row["outcome"], row["reason"]) == ("synced", "")
    assert 0 < row["lag_ms"] < 15_000


def test_an_administrator_syncs_a_change_without_a_notification(story: Story) -> None:
    user = story.add_synced_user()
    before = story.people.shown(user)

    story.people.set_photo(user, jpeg("darkgreen"), notify="off")
    assert story.people.shown(user) == before
    answer = story.stage.sync(user)

    assert answer.status_code == 200
    assert answer.json() | {"request_id": ""} == {
        "user": user,
        "outcome": "synced",
        "reason": "",
        "etag": story.people.user(user)["source"]["etag"],
        "requests": 6,
        "request_id": "",
    }
    assert answer.json()["request_id"]
    assert story.shows_its_source(user)
    assert story.waiting("photo-syncs") == 0  # the message for the case of a crash was taken back


def test_a_first_photo_is_shown(story: Story) -> None:
    user = story.add_user(photo=False)
    story.subscribed()

    story.people.draw_photo(user, notify="on")
    story.until(lambda: story.settled(user), user)

    assert story.shows_its_source(user)


def test_an_old_picture_that_sharepoint_pulled_itself_is_replaced(story: Story) -> None:
    user = story.add_user()
    story.people.configure(user, picture=True, old_names=True)

    assert story.stage.sync(user).json()["outcome"] == "synced"

    assert story.shows_its_source(user)


def test_a_user_without_mailbox_is_skipped_with_the_reason(story: Story) -> None:
    user = story.add_user(mailbox=False, photo=False)
    story.subscribed()

    story.send_check(user)
    story.until(lambda: story.ledger(user), user)
    answer = story.stage.sync(user)

    assert (answer.status_code, answer.json()["outcome"]) == (200, "skipped")
    assert answer.json()["reason"] == "no mailbox"
    assert (story.ledger(user)["outcome"], story.ledger(user)["reason"]) == ("skipped", "no mailbox")
    assert story.shows_nothing(user)
    assert story.history(service="sharepoint") == []


def test_a_guest_is_skipped_where_only_members_are_in_scope(story: Story) -> None:
    user = story.add_user(guest=True)

    answer = story.stage.sync(user).json()

    assert (answer["outcome"], answer["reason"]) == ("skipped", "guest is out of scope")
    assert story.shows_nothing(user)


def test_a_disabled_user_is_skipped_until_they_are_enabled(story: Story) -> None:
    user = story.add_user(enabled=False)

    skipped = story.stage.sync(user).json()
    assert (skipped["outcome"], skipped["reason"]) == ("skipped", "account is disabled")
    assert story.shows_nothing(user)

    story.people.change(user, enabled=True)
    assert story.stage.sync(user).json()["outcome"] == "synced"
    assert story.shows_its_source(user)


def test_the_same_picture_under_a_new_etag_causes_no_request_to_sharepoint(story: Story) -> None:
    user = story.add_user(photo=False)
    story.people.set_photo(user, jpeg("navy"))
    assert story.stage.sync(user).json()["outcome"] == "synced"
    story.people.clear_history()

    story.people.set_photo(user, jpeg("navy"))
    answer = story.stage.sync(user).json()

    assert (answer["outcome"], answer["reason"]) == ("unchanged", "the same picture under a new ETag")
    assert story.settled(user)
    assert story.history(service="sharepoint") == []


def test_a_removed_photo_is_noted_and_its_picture_is_kept_for_now(story: Story) -> None:
    user = story.add_synced_user()
    before = story.people.shown(user)
    story.subscribed()

    story.people.remove_photo(user, notify="on")
    story.until(lambda: story.ledger(user).get("missing_since"), user)

    assert story.people.shown(user) == before
    assert story.writes(user) == []


def test_a_deleted_user_is_noted_as_gone(story: Story) -> None:
    user = story.add_synced_user()
    story.subscribed()

    story.people.change(user, gone=True)
    story.until(lambda: story.ledger(user).get("gone_since"), user)

    assert story.stage.sync(user).status_code == 404
    assert story.writes(user) == []
