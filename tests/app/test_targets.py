"""The target of a user's picture: never another user's, never outside the tenant's hosts."""

import json

import pytest

from local.tenant.traffic.faults import Fault
from shared.ledger.row import Outcome
from tests.fakes.external_steps import kill
from tests.fakes.world import World

MY = "contoso-my.sharepoint.com"
ENGLISH, GERMAN = "/User Photos/Profile Pictures", "/User Photos/Profilbilder"


def sync(world: World, user: str) -> tuple[Outcome, str]:
    world.ask(user)
    world.drain()
    row = world.row(user)
    assert row.claim_until == 0.0
    return row.outcome, row.reason


def writes(world: World) -> list[str]:
    return [request for request in world.requests("sharepoint") if request.startswith("POST")]


# --- the profile ---


def test_a_user_without_a_profile_is_left_for_the_next_sweep(world: World) -> None:
    user = world.add()
    world.tenant.sharepoint.configure(user, profile=False)
    assert sync(world, user) == ("deferred", "SharePoint has no profile of this user yet")
    assert writes(world) == []


@pytest.mark.parametrize("theirs", ["0f000000-0000-4000-8000-000000000001", "not even an id"])
def test_the_profile_of_another_person_is_never_written(world: World, theirs: str) -> None:
    user = world.add()
    world.tenant.sharepoint.configure(user, object_id=theirs)
    assert sync(world, user) == ("deferred", "the profile under this UPN is another person's")
    assert writes(world) == []


def test_a_profile_that_does_not_name_its_owner_is_written_with_a_remark(world: World) -> None:
    user = world.add()
    world.tenant.sharepoint.configure(user, object_id="")
    assert sync(world, user) == ("synced", "identity unconfirmed")
    world.settled(user)


def test_a_profile_with_no_owner_and_another_account_is_not_written(world: World) -> None:
    user = world.add(upn="anna@contoso.com")
    body = {
        "AccountName": "i:0#.f|membership|other@contoso.com",
        "PersonalSiteHostUrl": f"https://{MY}/",
        "UserProfileProperties": [],
    }
    world.fault(Fault(path="GetPropertiesFor", status=200, body=json.dumps(body)))
    assert sync(world, user) == ("deferred", "the profile's account is another")
    assert writes(world) == []


def test_the_profile_of_a_new_name_is_read_before_any_write(world: World) -> None:
    user, other = world.add(upn="anna@contoso.com"), world.add(upn="anna.berg@contoso.com", photo=False)
    sync(world, user)
    world.tenant.world.remove(world.person(other))
    world.tenant.world.rename(world.person(user), "anna.berg@contoso.com")  # SharePoint does not know it yet
    world.change_photo(user)
    world.tenant.history.clear()
    assert sync(world, user) == ("deferred", "the profile under this UPN is another person's")
    assert writes(world) == []


def swap_names(world: World, one: str, other: str) -> None:
    """Let two people swap names in the directory; SharePoint does not know it yet."""
    first, second = world.person(one), world.person(other)
    names = second.upn, first.upn
    world.tenant.world.rename(second, "on.the.way@contoso.com")
    for person, name in zip((first, second), names, strict=True):
        world.tenant.world.rename(person, name)


@pytest.mark.parametrize("seen", ["too early", "by an attempt that died"])
def test_a_name_that_another_user_had_meanwhile_is_no_longer_known(world: World, seen: str) -> None:
    user, other = world.add(upn="anna@contoso.com"), world.add(upn="anna.berg@contoso.com")
    for each in (user, other):
        sync(world, each)
    swap_names(world, user, other)
    world.change_photo(user)
    if seen == "too early":
        assert sync(world, user) == ("deferred", "the profile under this UPN is another person's")
        world.tenant.sharepoint.settle_renames()
    else:
        world.tenant.sharepoint.settle_renames()
        world.steps.on(f"call {MY}", kill, nth=2)  # after it has found the folder and marked the row
        world.ask(user)
        world.host.deliver_due()
        assert world.row(user).dirty

    swap_names(world, user, other)
    world.change_photo(user)
    world.tenant.history.clear()
    assert sync(world, user) == ("deferred", "the profile under this UPN is another person's")
    assert writes(world) == []
    world.tenant.sharepoint.settle_renames()
    sync(world, user)
    for each in (user, other):
        world.settled(each)


def test_a_name_in_another_case_is_the_same_name(world: World) -> None:
    user = world.add(upn="anna@contoso.com")
    sync(world, user)
    world.tenant.world.rename(world.person(user), "Anna@Contoso.com")
    world.change_photo(user)
    world.tenant.history.clear()
    sync(world, user)
    world.settled(user)
    assert len(world.requests()) == 5


# --- the host ---


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/",
        "https://contoso-my.sharepoint.com.evil.example/",
        "https://contoso-my.sharepoint.com@evil.example/",
        "https://contoso.sharepoint.com/",
        "https://contoso-admin.sharepoint.com/",
        "https://x.contoso-my.sharepoint.com/",
        "https://-my.sharepoint.com/",
        "https://contoso-my.sharepoint.us/",
        "https://contoso-my.sharepoint.com\u3002evil.example/",
        "https://169.254.169.254/",
        "",
    ],
    ids=str,
)
def test_nothing_is_sent_to_a_host_that_is_not_a_my_site(world: World, url: object) -> None:
    user = world.add(upn="anna@contoso.com")
    body = {
        "AccountName": "i:0#.f|membership|anna@contoso.com",
        "PersonalSiteHostUrl": url,
        "UserProfileProperties": [{"Key": "msOnline-ObjectId", "Value": user}],
    }
    world.fault(Fault(path="GetPropertiesFor", status=200, body=json.dumps(body)))
    world.steps.taken.clear()
    assert sync(world, user) == ("deferred", "the profile's My Site host is not of this tenant's cloud")
    assert {step for step in world.steps.taken if step.startswith("call")} == {
        "call graph.microsoft.com",
        "call contoso-admin.sharepoint.com",
    }


@pytest.mark.parametrize("geo", ["evil.example", "", "contoso.sharepoint.com"])
def test_a_host_in_the_ledger_is_not_trusted_either(world: World, geo: str) -> None:
    user = world.add()
    sync(world, user)
    world.note(user, geo=geo)
    world.change_photo(user)
    sync(world, user)
    world.settled(user)
    assert world.row(user).geo == MY


def test_a_user_who_moved_is_found_again(world: World) -> None:
    user = world.add()
    sync(world, user)
    world.tenant.world.move(world.person(user), "eur")
    world.change_photo(user)
    assert sync(world, user) == ("synced", "")
    world.settled(user)
    assert world.row(user).geo == "contosoeur-my.sharepoint.com"


# --- the folder ---


def test_the_only_folder_is_used_whatever_its_name(world: World) -> None:
    world.tenant.sharepoint.set_folder("Profilbilder")
    user = world.add()
    sync(world, user)
    world.settled(user)
    assert world.row(user).folder == GERMAN


def test_of_several_folders_the_one_with_the_current_picture_is_used(world: World) -> None:
    user = world.add()
    world.tenant.sharepoint.configure(user, folder="Profilbilder", picture=True)
    world.tenant.sharepoint.add_folder("Images du profil")
    sync(world, user)
    world.settled(user)
    assert world.row(user).folder == GERMAN


@pytest.mark.parametrize(
    ("configured", "folder"),
    [("Profilbilder", GERMAN), ("PROFILE pictures", ENGLISH), ("", ""), ("Profielafbeeldingen", "")],
)
def test_of_several_folders_without_a_picture_the_configured_one_is_used_or_none(
    new_world, configured: str, folder: str
) -> None:
    world = new_world(PHOTO_FOLDER=configured)
    world.tenant.sharepoint.add_folder("Profilbilder")
    user = world.add()
    ambiguous = ("deferred", "2 folders in /User Photos: name the right one in PHOTO_FOLDER")
    assert sync(world, user) == (("synced", "") if folder else ambiguous)
    assert (world.row(user).folder, bool(writes(world))) == (folder, bool(folder))


def test_without_any_folder_nothing_is_written(world: World) -> None:
    user = world.add()
    world.fault(Fault(path="/Folders", status=404, body=json.dumps({"value": []})))
    assert sync(world, user) == ("deferred", "there is no folder in /User Photos yet")
    assert writes(world) == []


# --- a target that the ledger knows ---


@pytest.mark.parametrize("status", [404, 409])
@pytest.mark.parametrize("file", ["S", "M", "L"])
def test_a_folder_that_no_longer_exists_is_looked_up_once(world: World, status: int, file: str) -> None:
    user = world.add()
    sync(world, user)
    world.change_photo(user)
    world.fault(Fault(path=f"{file}Thumb", status=status, next=1))
    world.tenant.history.clear()
    assert sync(world, user) == ("synced", "")
    assert world.host.failures == []
    world.settled(user)


def test_a_folder_that_does_not_exist_after_the_lookup_is_a_refusal(world: World) -> None:
    user = world.add()
    sync(world, user)
    world.change_photo(user)
    world.fault(Fault(path="SThumb", status=404))
    outcome, reason = sync(world, user)
    assert outcome == "failed"
    assert reason == "sharepoint-files: 404"
    assert world.row(user).dirty


def test_a_folder_that_was_just_found_is_not_looked_up_again(world: World) -> None:
    user = world.add()
    world.fault(Fault(path="SThumb", status=404, next=1))
    world.ask(user)
    world.host.deliver_due()
    assert world.row(user).reason == "sharepoint-files: 404"
    assert len([request for request in world.requests() if "GetPropertiesFor" in request]) == 1
    world.drain()
    world.settled(user)


def test_a_known_user_whose_profile_disappears_is_left_dirty_for_the_next_sweep(world: World) -> None:
    user = world.add()
    sync(world, user)
    world.change_photo(user)
    world.tenant.sharepoint.configure(user, profile=False)
    assert sync(world, user) == ("deferred", "SharePoint has no profile of this user yet")
    row = world.row(user)
    assert (row.dirty, row.queued_at, row.claim_until) == (True, 0.0, 0.0)
    world.tenant.sharepoint.configure(user, profile=True)
    world.hint(user, why="swept")
    world.drain()
    world.settled(user)
