"""The two writes to SharePoint: whatever stops them halfway, no missing picture is shown."""

import hashlib

import pytest

from local.tenant.traffic.faults import Fault
from shared.attempt import Attempt
from shared.errors import Gone, TryLater
from shared.pictures.thumbnails import render
from shared.rest.client import HttpClient
from shared.settings import ExchangeSyncState
from shared.sharepoint.client import SharePoint
from shared.sharepoint.targets import Target
from shared.sync.changes import Change, clear_picture, show_picture
from shared.sync.plan import Upload
from shared.users import User
from tests.fakes.world import Tokens, World

MY, ADMIN = "contoso-my.sharepoint.com", "contoso-admin.sharepoint.com"
FOLDER = "/User Photos/Profile Pictures"
HERE = Target(MY, ADMIN, FOLDER)
STAMP = 63_902_822_400
STATE, PLACEHOLDER = "SPS-PictureExchangeSyncState", "SPS-PicturePlaceholderState"


@pytest.fixture
def sharepoint(world: World) -> SharePoint:
    return SharePoint(
        HttpClient(Tokens(world.tenant, world.steps), "NONISV|contoso|PhotoSync/1", world.clock)
    )


def a_user(world: World, user: str) -> User:
    return User(user, world.person(user).upn, enabled=True, guest=False)


def a_picture(world: World, sharepoint: SharePoint, user: str, sync_state: ExchangeSyncState = "1") -> Change:
    photo = world.person(user).photo
    assert photo
    digest = hashlib.sha256(photo.data).hexdigest()
    upload = Upload(a_user(world, user), photo.etag, digest, photo.data)
    return show_picture(sharepoint, sync_state, upload, render(photo.data))


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
    found = []
    for request in world.requests("sharepoint"):
        size = next((size for size in "SML" if f"_{size}Thumb.jpg" in request), "")
        found.append(size or "properties")
    return found


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


@pytest.mark.parametrize(
    ("sync_state", "state"),
    [
        pytest.param("1", "1", id="1"),
        pytest.param("0", "0", id="0"),
        pytest.param("keep", "7", id="keep: unchanged"),
    ],
)
def test_the_state_of_sharepoints_own_sync_is_set_as_configured(
    world: World, sharepoint: SharePoint, sync_state: ExchangeSyncState, state: str
) -> None:
    user = world.add()
    world.tenant.sharepoint.configure(user, properties={STATE: "7"})
    a_picture(world, sharepoint, user, sync_state).write(HERE, STAMP, Attempt())

    assert world.properties(user)[STATE] == state
    assert world.shown(user) == world.source(user)


def test_a_picture_settles_the_photo_that_it_was_made_from(world: World, sharepoint: SharePoint) -> None:
    user = world.add()
    picture = a_picture(world, sharepoint, user)

    assert (picture.etag, picture.outcome, picture.user.id) == (world.source(user), "synced", user)
    assert len(picture.sha256) == 64


@pytest.mark.parametrize("calls", range(4))
def test_a_first_picture_that_stops_halfway_is_not_shown(
    world: World, sharepoint: SharePoint, calls: int
) -> None:
    user = world.add()
    world.fault(Fault(service="sharepoint", skip=calls, status=503))
    with pytest.raises(TryLater):
        a_picture(world, sharepoint, user).write(HERE, STAMP, Attempt())

    assert world.shown(user) == ""
    assert len(files(world, user)) == calls
    world.fault()
    a_picture(world, sharepoint, user).write(HERE, STAMP, Attempt())
    assert world.shown(user) == world.source(user)


def test_a_picture_written_twice_is_the_same_picture(
    world: World, sharepoint: SharePoint, shown: str
) -> None:
    before = world.tenant.sharepoint.describe(shown)
    a_picture(world, sharepoint, shown).write(HERE, STAMP, Attempt())

    assert world.tenant.sharepoint.describe(shown)["userphoto"] == before["userphoto"]
    assert files(world, shown) == thumbnails(shown)


def test_a_picture_without_its_folder_is_reported_as_such(world: World, sharepoint: SharePoint) -> None:
    user = world.add()
    with pytest.raises(Gone):
        a_picture(world, sharepoint, user).write(Target(MY, ADMIN, "/User Photos/Bilder"), STAMP, Attempt())
    assert world.shown(user) == ""


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


def test_an_erasure_succeeds_if_the_files_are_already_gone(
    world: World, sharepoint: SharePoint, shown: str
) -> None:
    for stamp in (STAMP + 1, STAMP + 2):
        an_erasure(world, sharepoint, shown).write(HERE, stamp, Attempt())

    assert (world.shown(shown), files(world, shown)) == ("", [])
    assert world.properties(shown)["SPS-PictureTimestamp"] == str(STAMP + 2)


def test_an_erasure_changes_no_other_user(world: World, sharepoint: SharePoint, shown: str) -> None:
    other = world.add()
    a_picture(world, sharepoint, other).write(HERE, STAMP, Attempt())
    an_erasure(world, sharepoint, shown).write(HERE, STAMP, Attempt())

    assert world.shown(other) == world.source(other)
    assert files(world, other) == thumbnails(other)


def test_a_picture_after_an_erasure_is_shown_again(world: World, sharepoint: SharePoint, shown: str) -> None:
    an_erasure(world, sharepoint, shown).write(HERE, STAMP + 1, Attempt())
    world.change_photo(shown)
    a_picture(world, sharepoint, shown).write(HERE, STAMP + 2, Attempt())

    assert world.shown(shown) == world.source(shown)


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
