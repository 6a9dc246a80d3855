"""Invented people for the tenant's directory."""

from dataclasses import dataclass
from typing import Literal

from local.tenant.directory.exchange import Exchange
from local.tenant.directory.world import Person, World

# fmt: off
FIRST = (
    "Anna", "Bilal", "Chiara", "Dmitri", "Eva", "Farid", "Grace", "Hiro", "Ines", "Jan", "Katarzyna",
    "Liam", "Maria", "Noor", "Oskar", "Priya", "Quentin", "Rosa", "Samir", "Tove", "Ursula", "Viktor",
    "Wanda", "Xin", "Yusuf", "Zoë",
)
LAST = (
    "Andersson", "Bauer", "Conti", "Demir", "Evans", "Fischer", "García", "Haddad", "Ito", "Jansen",
    "Kowalska", "Lopes", "Meyer", "Nguyen", "Okafor", "Petrov", "Quist", "Rossi", "Schmidt", "Tanaka",
    "Ueda", "Virtanen", "Weber", "Xu", "Yilmaz", "Zhou", "Åkesson",
)
# fmt: on
ASCII = str.maketrans("ëíÅ", "eiA")


@dataclass(slots=True, kw_only=True)
class NewPeople:
    """The people to add: `count` alike. `upn` and `name` are invented if they are not given.

    `photo`: with a portrait of their own, or all with one, "shared", under etags of their own. `folder`: the
    SharePoint library folder of their geo.
    """

    count: int = 1
    upn: str = ""
    name: str = ""
    guest: bool = False
    mailbox: bool = True
    enabled: bool = True
    geo: str = ""
    folder: str = ""
    photo: bool | Literal["shared"] = False

    def __post_init__(self) -> None:
        if not 1 <= self.count <= 1_000_000:
            raise ValueError("count is 1 to 1000000")
        if self.upn and self.count > 1:
            raise ValueError("a UPN belongs to one person: give no count beside it")
        if self.geo and not (self.geo.isalpha() and self.geo.islower() and len(self.geo) == 3):
            raise ValueError('geo is three lower-case letters, such as eur, or "" for the central location')


def add_people(world: World, exchange: Exchange, wanted: NewPeople) -> list[Person]:
    """Add the people to the directory and return them; ValueError: their UPN is taken."""
    with world.lock:
        return [_add_person(world, exchange, wanted) for _ in range(wanted.count)]


def _add_person(world: World, exchange: Exchange, wanted: NewPeople) -> Person:
    number = len(world.people)
    name = wanted.name or _invent_name(number)
    person = Person(
        world.new_id(),
        wanted.upn or _invent_upn(world, name, number, guest=wanted.guest),
        name,
        guest=wanted.guest,
        enabled=wanted.enabled,
        mailbox=wanted.mailbox,
        geo=wanted.geo,
    )
    if wanted.photo:
        person.photo = exchange.draw_shared() if wanted.photo == "shared" else exchange.draw(person)
    return world.add(person)


def _invent_name(number: int) -> str:
    return f"{FIRST[number % len(FIRST)]} {LAST[(number * 7 + number // len(FIRST)) % len(LAST)]}"


def _invent_upn(world: World, name: str, number: int, *, guest: bool) -> str:
    """Return an unused UPN; a guest's is their own address and `#EXT#`."""
    local = name.translate(ASCII).lower().replace(" ", ".")
    domain = f"{world.organisation}.onmicrosoft.com"
    middle = "_fabrikam.com#EXT#" if guest else ""
    plain = f"{local}{middle}@{domain}"
    return plain if world.find(plain) is None else f"{local}.{number}{middle}@{domain}"
