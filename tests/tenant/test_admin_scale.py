"""A hundred thousand people fit."""

import time

from local.tenant.directory.exchange import Exchange
from local.tenant.directory.people import NewPeople, add_people
from local.tenant.directory.world import World
from local.tenant.entra.tokens import Tokens
from local.tenant.sharepoint.service import SharePoint


def test_a_hundred_thousand_people_with_photos_are_added_in_seconds_and_found_by_upn() -> None:
    world = World()
    SharePoint(world, Tokens(world))  # keeps a profile for each
    began = time.monotonic()
    arrived = add_people(world, Exchange(world), NewPeople(count=100_000, photo=True))
    assert time.monotonic() - began < 30
    began = time.monotonic()
    assert all(world.find(person.upn) is person for person in arrived[::100])
    assert time.monotonic() - began < 10  # a search through all would take minutes
    assert len(list(world.living())) == 100_000
