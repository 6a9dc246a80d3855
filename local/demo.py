"""`make demo`: watch photos travel from Exchange Online to SharePoint Online, on one machine, for real.

Microsoft's own Functions worker runs the app, Azurite is its storage account, the emulated tenant is all the
rest. Eight things happen to eight people; a table says how each ended, a contact sheet shows it.
"""

import argparse
import io
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from PIL import Image, ImageChops, ImageOps, ImageStat

from local.contact_sheet import draw_contact_sheet
from local.stage import ROOT, Stage
from local.tenant.admin.client import AdminError
from local.tenant.entra.face import HOST as ENTRA

PATIENCE = 30.0  # seconds for one photo to arrive; it takes about one
POLL = 0.05  # seconds
SAME_PICTURE = 12.0  # mean difference of 255 a pixel below which two renderings are the same photograph
SHEET = ROOT / "out" / "contact-sheet.png"


class DemoError(Exception):
    """Something did not go as it must; the message says what."""


@dataclass
class Line:
    """One line of the table and of the contact sheet. `before` and `after` are what SharePoint showed."""

    who: str
    user: str
    why: str
    etag_before: str = ""
    etag_after: str = ""
    outcome: str = ""
    lag: float | None = None
    calls: int = 0
    exchange: bytes = b""
    before: bytes = b""
    after: bytes = b""
    wrong: str = field(default="", kw_only=True)


class Demo:
    """The story, told on a stage.

    Args:
        stage: the running house.
        photo: JPEG bytes to use for the first photo change, b"" for a drawn one.
        tell: prints a line of progress.
    """

    def __init__(self, stage: Stage, photo: bytes, tell: Callable[[str], None]) -> None:
        self._stage = stage
        self._people = stage.people
        self._photo = photo
        self._tell = tell
        self.lines: list[Line] = []

    def play(self) -> None:
        """Let everything happen, in order.

        Raises:
            DemoError: a photo did not arrive, or the app answered something else than it must.
        """
        changing, unnoticed, late, silent = [self._settled_person() for _ in range(4)]
        (newcomer,) = self._people.add()
        (without,) = self._people.add(mailbox=False)
        (guest,) = self._people.add(guest=True, photo=True)
        (german,) = self._people.add(geo="eur", folder="Profilbilder", photo=True)
        self._tell("eight people; SharePoint shows the photos of the first four")
        did = self._did(self._stage.subscribe().json())
        self._tell(f"subscription {did}: Graph validated both of our URLs")
        self._notified(changing, "notified of a change", self._photo)
        self._unnoticed(unnoticed)
        self._notified(newcomer, "first photo, notified")
        self._by_hand(without, "no mailbox; sync_user", "skipped")
        self._by_hand(guest, "guest; sync_user by UPN", "synced", key=self._people.user(guest)["upn"])
        self._by_hand(german, "folder Profilbilder, geo EUR", "synced")
        self._lose_subscription()
        self._notified(late, "after a lost subscription")
        self._tell("a new subscription opens a sweep, which begins after ten seconds...")
        self._arrives(silent, "nobody notified; the sweep", b"", notify="off")

    # --- what happens ---

    def _settled_person(self) -> str:
        """Return a new person whose photo SharePoint shows already."""
        (user,) = self._people.add(photo=True)
        answer = self._stage.sync(user).json()
        if answer.get("outcome") != "synced":
            raise DemoError(f"a new person's photo was not synced: {answer}")
        return user

    def _notified(self, user: str, why: str, photo: bytes = b"") -> None:
        self._arrives(user, why, photo, notify="on")

    def _arrives(self, user: str, why: str, photo: bytes, *, notify: Literal["on", "off"]) -> None:
        with self._line(user, why) as line:
            shown = self._shown(user)
            began = time.monotonic()
            self._change(user, photo, notify=notify)
            self._wait(f"{line.who}'s photo", lambda: self._shown(user) != shown)
            line.lag, line.outcome = time.monotonic() - began, "synced"

    def _unnoticed(self, user: str) -> None:
        why = "nobody notified; sync_user"
        before = self._people.user(user), self._people.shown(user)
        self._change(user, b"", notify="off")
        self._by_hand(user, why, "synced", before=before)

    def _by_hand(
        self,
        user: str,
        why: str,
        expected: str,
        *,
        key: str = "",
        before: tuple[dict[str, Any], bytes] | None = None,
    ) -> None:
        with self._line(user, why, before) as line:
            began = time.monotonic()
            answer = self._stage.sync(key or user).json()
            if answer.get("outcome") != expected:
                raise DemoError(f"{line.who}: {answer} instead of {expected}")
            line.lag = time.monotonic() - began if expected == "synced" else None
            line.outcome = f"{expected}: {answer['reason']}" if answer["reason"] else expected

    def _lose_subscription(self) -> None:
        # Graph refuses a new one for hours after a loss; the demo has less time.
        self._people.turn(lost_refusal_seconds=0.0)
        for subscription in self._people.subscriptions():
            self._people.lose(subscription["id"])
        self._stage.fire("renew_subscription")
        self._wait("a new subscription", self._people.subscriptions)
        self._tell("subscription lost without a word; the timer found out and made another")

    # --- how it happens ---

    def _change(self, user: str, photo: bytes, *, notify: Literal["on", "off"]) -> None:
        if photo:
            self._people.set_photo(user, photo, notify=notify)
        else:
            self._people.draw_photo(user, notify=notify)

    @contextmanager
    def _line(
        self, user: str, why: str, before: tuple[dict[str, Any], bytes] | None = None
    ) -> Iterator[Line]:
        facts, shown = before or (self._people.user(user), self._people.shown(user))
        placeholder = facts["target"]["userphoto"]["L"] == "placeholder"
        line = Line(facts["name"], user, why, "" if placeholder else _etag(facts), before=shown)
        last = self._people.clear_history()
        yield line
        facts = self._people.user(user)
        line.etag_after, line.after = _etag(facts), self._people.shown(user)
        line.exchange = self._people.photo(user) if line.etag_after else b""
        line.calls = sum(entry["host"] != ENTRA for entry in self._people.history(since=last))
        line.wrong = _what_is_wrong(line)
        self.lines.append(line)
        self._tell(f"{line.who}: {line.why}: {line.outcome}")

    def _shown(self, user: str) -> object:
        """Return what tells one written picture from the next: the last property that a sync writes."""
        target = self._people.user(user)["target"]
        return target["userphoto"]["L"], target["properties"]["SPS-PictureTimestamp"]

    def _wait(self, what: str, condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not condition():
            if time.monotonic() > deadline:
                raise DemoError(f"{what} did not arrive within {PATIENCE:.0f} s")
            time.sleep(POLL)

    def _did(self, answer: dict[str, str]) -> str:
        if "did" not in answer:
            raise DemoError(f"no subscription: {answer}")
        return answer["did"]


def same_picture(left: bytes, right: bytes) -> bool:
    """Return whether two images show the same photograph, cropped to a square, whatever their size."""
    images = [
        ImageOps.fit(ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB"), (48, 48))
        for data in (left, right)
    ]
    return max(ImageStat.Stat(ImageChops.difference(*images)).mean) < SAME_PICTURE


def print_table(lines: list[Line]) -> None:
    """Print who, why, ETag before and after, lag in seconds and HTTP calls (tokens aside)."""
    rows = [("who", "why", "etag before → after", "outcome", "lag", "calls")]
    rows += [
        (
            line.who,
            line.why,
            f"{line.etag_before or '-'} → {line.etag_after or '-'}",
            line.wrong or line.outcome,
            "" if line.lag is None else f"{line.lag:.2f} s",
            str(line.calls),
        )
        for line in lines
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    print()
    for row in rows:
        print("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())


def main() -> int:
    """Play the story; return 0 only if every target in scope shows its source and the rest say why not."""
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--photo", type=Path, help="a JPEG of yours for the first change (make demo PHOTO=me.jpg)"
    )
    photo = parser.parse_args().photo
    try:
        data = photo.read_bytes() if photo else b""
    except OSError as error:
        print(f"{photo} cannot be read: {error.strerror}", file=sys.stderr)
        return 2
    began = time.monotonic()
    with Stage(settings={"SCOPE": "members+guests"}) as stage:
        print(f"storage, tenant and host are up after {time.monotonic() - began:.1f} s: {stage.url}")
        demo = Demo(stage, data, print)
        try:
            demo.play()
        except (DemoError, AdminError) as error:
            print(f"\n{error}\n\nThe host said last:\n{stage.log[-4000:]}", file=sys.stderr)
            return 1
    print_table(demo.lines)
    draw_contact_sheet(SHEET, [(f"{e.who}: {e.why}", (e.exchange, e.before, e.after)) for e in demo.lines])
    print(f"\ncontact sheet: {SHEET.relative_to(ROOT)}   ({time.monotonic() - began:.1f} s in all)")
    return 1 if any(line.wrong for line in demo.lines) else 0


def _etag(facts: dict[str, dict[str, str]]) -> str:
    return (facts["source"] or {}).get("etag", "").strip('"')


def _what_is_wrong(line: Line) -> str:
    """Return why a line is not as it must be, "" if it is."""
    if line.outcome == "synced":
        return "" if same_picture(line.exchange, line.after) else "WRONG: SharePoint shows another picture"
    return "" if ": " in line.outcome else f"WRONG: {line.outcome} without a reason"


if __name__ == "__main__":
    sys.exit(main())
