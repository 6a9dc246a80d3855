"""`make demo`: copy photos from Exchange Online to SharePoint Online, on one machine.

Microsoft's own Functions worker runs the app, Azurite is its storage account, and the emulated tenant is the
rest. Eight cases with eight users: a table lists the outcomes, and a contact sheet shows the photos.
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

type Seen = tuple[dict[str, Any], bytes]  # a user's facts, and the picture that SharePoint shows


class DemoError(Exception):
    """The demo failed; the message says why."""


@dataclass
class DemoCase:
    """One row of the table and of the contact sheet. `before` and `after` are SharePoint's pictures."""

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
    """Run the cases on a stage; `photo` is the JPEG for the first change, b"" for a generated one."""

    def __init__(self, stage: Stage, photo: bytes, report: Callable[[str], None]) -> None:
        self._stage = stage
        self._people = stage.people
        self._photo = photo
        self._report = report
        self.cases: list[DemoCase] = []

    def run(self) -> None:
        """Run all cases, in order.

        Raises:
            DemoError: a photo did not arrive, or the app gave an unexpected answer.
        """
        changing, unnotified, late, silent = [self._settled_user() for _ in range(4)]
        (newcomer,) = self._people.add()
        (without,) = self._people.add(mailbox=False)
        (guest,) = self._people.add(guest=True, photo=True)
        (german,) = self._people.add(geo="eur", folder="Profilbilder", photo=True)
        self._report("eight users; SharePoint shows the photos of the first four")
        answer = self._stage.subscribe().json()
        if "did" not in answer:
            raise DemoError(f"no subscription: {answer}")
        self._report(f"subscription {answer['did']}: Graph validated both of our URLs")
        self._expect(changing, "notified of a change", self._photo)
        self._sync_without_notification(unnotified)
        self._expect(newcomer, "first photo, notified")
        self._sync_manually(without, "no mailbox; sync_user", "skipped")
        self._sync_manually(guest, "guest; sync_user by UPN", "synced", key=self._people.user(guest)["upn"])
        self._sync_manually(german, "folder Profilbilder, geo EUR", "synced")
        self._lose_subscription()
        self._expect(late, "after a lost subscription")
        self._report("a new subscription opens a sweep, which begins after ten seconds...")
        self._expect(silent, "no notification; the sweep", notify="off")

    def _settled_user(self) -> str:
        """Return a new user whose photo SharePoint shows already."""
        (user,) = self._people.add(photo=True)
        answer = self._stage.sync(user).json()
        if answer.get("outcome") != "synced":
            raise DemoError(f"a new user's photo was not synced: {answer}")
        return user

    def _expect(self, user: str, why: str, photo: bytes = b"", notify: Literal["on", "off"] = "on") -> None:
        with self._case(user, why) as case:
            shown, began = self._shown(user), time.monotonic()
            self._change(user, photo, notify=notify)
            self._wait(f"{case.who}'s photo", lambda: self._shown(user) != shown)
            case.lag, case.outcome = time.monotonic() - began, "synced"

    def _sync_without_notification(self, user: str) -> None:
        before = self._people.user(user), self._people.shown(user)
        self._change(user, b"", notify="off")
        self._sync_manually(user, "no notification; sync_user", "synced", before=before)

    def _sync_manually(
        self,
        user: str,
        why: str,
        expected: str,
        *,
        key: str = "",
        before: Seen | None = None,
    ) -> None:
        with self._case(user, why, before) as case:
            began = time.monotonic()
            answer = self._stage.sync(key or user).json()
            if answer.get("outcome") != expected:
                raise DemoError(f"{case.who}: {answer} instead of {expected}")
            case.lag = time.monotonic() - began if expected == "synced" else None
            case.outcome = f"{expected}: {answer['reason']}" if answer["reason"] else expected

    def _lose_subscription(self) -> None:
        # Graph refuses a new one for hours after a loss; the demo has less time.
        self._people.turn(lost_refusal_seconds=0.0)
        for subscription in self._people.subscriptions():
            self._people.lose(subscription["id"])
        self._stage.fire("renew_subscription")
        self._wait("a new subscription", self._people.subscriptions)
        self._report("subscription lost without a notification; the timer detected it and created another")

    def _change(self, user: str, photo: bytes, *, notify: Literal["on", "off"]) -> None:
        if photo:
            self._people.set_photo(user, photo, notify=notify)
        else:
            self._people.draw_photo(user, notify=notify)

    @contextmanager
    def _case(self, user: str, why: str, before: Seen | None = None) -> Iterator[DemoCase]:
        facts, shown = before or (self._people.user(user), self._people.shown(user))
        placeholder = facts["target"]["userphoto"]["L"] == "placeholder"
        case = DemoCase(facts["name"], user, why, "" if placeholder else _etag(facts), before=shown)
        last = self._people.clear_history()
        yield case
        facts = self._people.user(user)
        case.etag_after, case.after = _etag(facts), self._people.shown(user)
        case.exchange = self._people.photo(user) if case.etag_after else b""
        case.calls = sum(entry["host"] != ENTRA for entry in self._people.history(since=last))
        case.wrong = _what_is_wrong(case)
        self.cases.append(case)
        self._report(f"{case.who}: {case.why}: {case.outcome}")

    def _shown(self, user: str) -> object:
        """Return what changes with each written picture: the last property that a sync writes."""
        target = self._people.user(user)["target"]
        return target["userphoto"]["L"], target["properties"]["SPS-PictureTimestamp"]

    def _wait(self, what: str, condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not condition():
            if time.monotonic() > deadline:
                raise DemoError(f"{what} did not arrive within {PATIENCE:.0f} s")
            time.sleep(POLL)


def same_picture(left: bytes, right: bytes) -> bool:
    """Return whether two images show the same photograph, cropped to a square, whatever their size."""
    opened = (ImageOps.exif_transpose(Image.open(io.BytesIO(data))) for data in (left, right))
    images = [ImageOps.fit(each.convert("RGB"), (48, 48)) for each in opened]
    return max(ImageStat.Stat(ImageChops.difference(*images)).mean) < SAME_PICTURE


def print_table(cases: list[DemoCase]) -> None:
    """Print who, why, ETag before and after, lag in seconds and HTTP calls (without those for tokens)."""
    rows = [("who", "why", "etag before → after", "outcome", "lag", "calls")]
    rows += [
        (
            case.who,
            case.why,
            f"{case.etag_before or '-'} → {case.etag_after or '-'}",
            case.wrong or case.outcome,
            "" if case.lag is None else f"{case.lag:.2f} s",
            str(case.calls),
        )
        for case in cases
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    print()
    for row in rows:
        print("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())


def main() -> int:
    """Run the demo; return 0 if every user in scope shows their photo and the others have a reason."""
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__.partition("\n")[0])
    parser.add_argument("--photo", type=Path, help="a JPEG for the first change (make demo PHOTO=me.jpg)")
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
            demo.run()
        except (DemoError, AdminError) as error:
            print(f"\n{error}\n\nThe host's last log lines:\n{stage.log[-4000:]}", file=sys.stderr)
            return 1
    print_table(demo.cases)
    draw_contact_sheet(SHEET, [(f"{e.who}: {e.why}", (e.exchange, e.before, e.after)) for e in demo.cases])
    print(f"\ncontact sheet: {SHEET.relative_to(ROOT)}   ({time.monotonic() - began:.1f} s in all)")
    return 1 if any(case.wrong for case in demo.cases) else 0


def _etag(facts: dict[str, dict[str, str]]) -> str:
    return (facts["source"] or {}).get("etag", "").strip('"')


def _what_is_wrong(case: DemoCase) -> str:
    """Return what is wrong with a case, or ""."""
    if case.outcome == "synced":
        return "" if same_picture(case.exchange, case.after) else "WRONG: SharePoint shows another picture"
    return "" if ": " in case.outcome else f"WRONG: {case.outcome} without a reason"


if __name__ == "__main__":
    sys.exit(main())
