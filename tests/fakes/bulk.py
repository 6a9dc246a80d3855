"""Many users at once without many pictures: all photos have the same bytes, each with an etag of its own."""

import hashlib

from local.tenant.directory import people
from local.tenant.directory.people import NewPeople
from local.tenant.directory.world import Photo
from shared.sharepoint.targets import Target
from tests.fakes.world import World, draw

TARGET = Target("contoso-my.sharepoint.com", "contoso-admin.sharepoint.com", "/User Photos/Profile Pictures")
PICTURE = draw(0)


def add_users(world: World, count: int, *, photo: bool = True, settled: bool = True) -> list[str]:
    """Add `count` users to the tenant and return their object ids.

    Args:
        world: the world whose tenant gets them.
        count: the number of users.
        photo: whether they have one.
        settled: the ledger says that SharePoint shows the photo; without photo, that it shows another one.
    """
    arrived = people.add_people(world.tenant.world, world.tenant.exchange, NewPeople(count=count))
    for person in arrived:
        if photo:
            person.photo = new_photo(world)
        if settled:
            settle(world, person.id, person.photo.etag if person.photo else '"OTHER"')
    return [person.id for person in arrived]


def new_photo(world: World) -> Photo:
    """Return a photo with the common picture and an etag that no other photo has."""
    return Photo(PICTURE, world.tenant.world.new_etag(), 64, 64)


def settle(world: World, user: str, etag: str) -> None:
    """Write into the ledger that SharePoint shows this photo."""
    world.note(
        user,
        settled_etag=etag,
        settled_sha256=hashlib.sha256(etag.encode()).hexdigest(),  # of no photo's bytes
        upn=world.person(user).upn,
        geo=TARGET.my_host,
        home="contoso.sharepoint.com",
        folder=TARGET.folder,
        outcome="synced",
        settled_at=world.clock.now(),
    )
