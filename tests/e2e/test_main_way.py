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


def test_an_old_picture_that_sharepoint_pulled_itself_is_replaced(story: Story) -> None:
    user = story.add_user()
    story.people.configure(user, picture=True, old_names=True)

    assert story.stage.sync(user).json()["outcome"] == "synced"

    assert story.shows_its_source(user)


def test_a_removed_photo_and_a_deleted_user_are_noted_and_the_pictures_are_kept(story: Story) -> None:
    user, gone = story.add_synced_user(), story.add_synced_user()
    before = story.people.shown(user)
    story.subscribed()

    story.people.remove_photo(user, notify="on")
    story.people.change(gone, gone=True)
    story.until(lambda: story.ledger(user).get("missing_since"), user)
    story.until(lambda: story.ledger(gone).get("gone_since"), gone)

    assert story.stage.sync(gone).status_code == 404
    assert story.people.shown(user) == before
    assert story.writes() == []
