"""What a sweep remembers of the lists that it reads: its pages' addresses, and the excluded group's members.

They are rows beside the sweep's parts, in the same partition: what one instance read another one knows, and
all of it is deleted with the sweep.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import batched

from shared.errors import GRAPH, Endless, Stale
from shared.storage.tables import ANY, Table
from shared.sweeps.state import MOST_PAGES
from shared.sweeps.tally import part_key

# Keys of parts begin with a digit, which sorts before both.
ADDRESS, MEMBERS, AFTER_MEMBERS = "address-", "members-", "members."
MEMBERS_A_ROW = 500  # ids of 36 characters and a comma; a column holds 32 768 characters


@dataclass(frozen=True, slots=True)
class ListStore:
    """The pages and members that sweeps have read."""

    table: Table

    def follow(self, sweep: str, listed: str, page: int, address: str) -> None:
        """Note the address of the page number `page`, of the list `listed`, before it is read.

        A page that is read once more may have another successor, but no page has an earlier one as its
        successor: raises `Endless` where the address is that of an earlier page, or there are too many pages.
        """
        if page >= MOST_PAGES:
            raise Endless(GRAPH, f"the list of {listed} has more than {MOST_PAGES} pages")
        key = ADDRESS + hashlib.sha256(f"{listed} {address}".encode()).hexdigest()[:32]
        try:
            self.table.merge(sweep, key, {"page": float(page)}, "")
        except Stale:
            found = self.table.read(sweep, key)
            if found and found[0]["page"] != page:
                told = f"the list of {listed} comes back from page {page} to page {found[0]['page']:.0f}"
                raise Endless(GRAPH, told) from None

    def exclude(self, sweep: str, page: int, members: Iterable[str]) -> None:
        """Keep the members on one page of the excluded group."""
        for number, some in enumerate(batched(members, MEMBERS_A_ROW, strict=False)):
            key = MEMBERS + part_key(page, number)
            self.table.merge(sweep, key, {"members": ",".join(some)}, ANY)

    def without_excluded(self, sweep: str, users: Sequence[str]) -> list[str]:
        """Return those of the users who are not members of the excluded group."""
        left = dict.fromkeys(users)
        for _, columns, _ in self.table.scan(sweep, ["members"], after=MEMBERS, before=AFTER_MEMBERS):
            for member in str(columns["members"]).split(","):
                left.pop(member, None)
        return list(left)
