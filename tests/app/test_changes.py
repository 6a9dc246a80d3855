"""The two writes to SharePoint: whatever stops them halfway, no missing picture is shown."""

import hashlib
import re

import pytest

from local.tenant.traffic.faults import Fault
from shared.attempt import Attempt
from shared.errors import TryLater
from shared.pictures.thumbnails import render
from shared.sharepoint.client import SharePoint
from shared.sharepoint.targets import Target
from shared.sync.changes import Change, clear_picture, show_picture
from shared.sync.plan import Upload
from shared.users import User
from tests.fakes.world import World

MY, ADMIN = "contoso-my.sharepoint.com", "contoso-admin.sharepoint.com"
FOLDER = "/User Photos/Profile Pictures"
HERE = Target(MY, ADMIN, FOLDER)
STAMP = 63_902_822_400
STATE, PLACEHOLDER = "SPS-PictureExchangeSyncState", "SPS-PicturePlaceholderState"


def a_user(world: World, user: str) -> User:
    return User(user, world.person(user).upn, enabled=True, guest=False)


def a_picture(world: World, sharepoint: SharePoint, user: str) -> Change:
    photo = world.person(user).photo
    assert photo
    upload = Upload(a_user(world, user), photo.etag, hashlib.sha256(photo.data).hexdigest(), photo.data)
    return show_picture(sharepoint, "1", upload, render(photo.data))


def an_erasure(world: World, sharepoint: SharePoint, user: str) -> Change:
    return clear_picture(sharepoint, a_user(world, user))


@pytest.fixture
def shown(world: World, sharepoint: SharePoint) -> str:
    """A user whose picture SharePoint shows."""
    user = world.add()
    a_picture(world, sharepoint, user).write(HERE, STAMP, Attempt())
    world.tenant.history.clear()
    return user


def writes(world: World) -> list[str]:
    """Return each write: the size of the file that it put or deleted, or "properties"."""
    sizes = [re.search("_([SML])Thumb.jpg", request) for request in world.requests("sharepoint")]
    return [size[1] if size else "properties" for size in sizes]


def files(world: World, user: str) -> list[str]:
    listed = world.tenant.sharepoint.describe(user)["files"]
    assert isinstance(listed, list)
    return sorted(str(file["name"]) for file in listed)


def thumbnails(user: str) -> list[str]:
    return sorted(f"{user}_{size}Thumb.jpg" for size in "SML")


# --- a picture ---


def test_a_picture_is_written_as_three_files_and_then_the_properties_that_point_to_them(
    world: World, sharepoint: SharePoint
) -> None:
    user = world.add()
    a_picture(world, sharepoint, user).write(HERE, STAMP, Attempt())

    assert writes(world) == ["S", "M", "L", "properties"]
    assert world.shown(user) == world.source(user)
    assert files(world, user) == thumbnails(user)
    properties = world.properties(user)
    assert properties["PictureURL"] == f"https://{MY}:443/User%20Photos/Profile%20Pictures/{user}_MThumb.jpg"
    assert properties["SPS-PictureTimestamp"] == str(STAMP)
    assert (properties[STATE], properties[PLACEHOLDER]) == ("1", "0")


@pytest.mark.parametrize("calls", range(4))
def test_a_first_picture_that_stops_halfway_is_not_shown(world: World, sharepoint: SharePoint, calls) -> None:
    user = world.add()
    world.fault(Fault(service="sharepoint", skip=calls, status=503))
    with pytest.raises(TryLater):
        a_picture(world, sharepoint, user).write(HERE, STAMP, Attempt())

    assert world.shown(user) == ""
    assert len(files(world, user)) == calls
    world.fault()
    a_picture(world, sharepoint, user).write(HERE, STAMP, Attempt())
    assert world.shown(user) == world.source(user)


# --- an erasure ---


def test_an_erasure_writes_the_properties_first_and_then_deletes_the_three_files(
    world: World, sharepoint: SharePoint, shown: str
) -> None:
    an_erasure(world, sharepoint, shown).write(HERE, STAMP + 1, Attempt())

    assert writes(world) == ["properties", "S", "M", "L"]
    assert world.shown(shown) == ""
    assert files(world, shown) == []
    properties = world.properties(shown)
    assert (properties.get("PictureURL", ""), properties[PLACEHOLDER]) == ("", "1")
    assert properties["SPS-PictureTimestamp"] == str(STAMP + 1)
    assert properties[STATE] == "1"  # SharePoint's own property, which an erasure leaves alone


def test_an_erasure_settles_that_no_photo_is_shown(world: World, sharepoint: SharePoint, shown: str) -> None:
    erasure: Change = an_erasure(world, sharepoint, shown)

    assert (erasure.etag, erasure.sha256, erasure.outcome) == ("", "", "cleared")


@pytest.mark.parametrize("calls", range(4))
def test_an_erasure_that_stops_halfway_shows_the_whole_picture_or_none(
    world: World, sharepoint: SharePoint, shown: str, calls: int
) -> None:
    world.fault(Fault(service="sharepoint", skip=calls, status=503))
    with pytest.raises(TryLater):
        an_erasure(world, sharepoint, shown).write(HERE, STAMP + 1, Attempt())

    assert world.shown(shown) == ("" if calls else world.source(shown))
    assert len(files(world, shown)) == 3 - max(0, calls - 1)
    world.fault()
    an_erasure(world, sharepoint, shown).write(HERE, STAMP + 2, Attempt())
    assert (world.shown(shown), files(world, shown)) == ("", [])


# --- both writes ---


@pytest.mark.parametrize("erased", [False, True], ids=["picture", "erasure"])
def test_an_attempt_remembers_a_write_that_got_no_answer(
    world: World, sharepoint: SharePoint, shown: str, erased: bool
) -> None:
    world.fault(Fault(service="sharepoint", drop=True, when="after", next=1))
    attempt = Attempt()
    change: Change = (an_erasure if erased else a_picture)(world, sharepoint, shown)
    change.write(HERE, STAMP + 1, attempt)

    assert attempt.unanswered
    assert attempt.requests == 5  # one write was repeated
    assert world.shown(shown) == ("" if erased else world.source(shown))
