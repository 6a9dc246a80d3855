"""The two things that are ever written to SharePoint: a picture, and its removal.

Each is a handful of calls in an order that never shows a picture that is not there.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.attempt import Attempt
from shared.ledger.row import Outcome
from shared.settings import ExchangeSyncState
from shared.sharepoint.client import SharePoint, picture_url, thumbnail_name
from shared.sharepoint.targets import Target
from shared.sync.plan import Upload
from shared.users import User

if TYPE_CHECKING:
    from shared.pictures.thumbnails import Thumbnails


@dataclass(frozen=True, slots=True)
class Change:
    """What is written for one user, and what the ledger remembers of it."""

    user: User  # whose picture it is
    outcome: Outcome  # what the sync comes to
    etag: str  # ETag of the photo that SharePoint shows afterwards, "" for none
    sha256: str  # hash of that photo's bytes, "" for none
    # Writes it to a target with a `SPS-PictureTimestamp`. It raises `Gone` or `Refused` where the target
    # moved or refuses, `TryLater` or `Denied` where it must wait.
    write: Callable[[Target, int, Attempt], None]


def show_picture(
    sharepoint: SharePoint, sync_state: ExchangeSyncState, upload: Upload, thumbnails: "Thumbnails"
) -> Change:
    """Return the change that uploads three thumbnails, then sets the properties; the last one shows it."""
    user = upload.user

    def write(target: Target, stamp: int, attempt: Attempt) -> None:
        for size, content in thumbnails.items():
            sharepoint.upload(target.my_host, target.folder, thumbnail_name(user.id, size), content, attempt)
        address = picture_url(target.my_host, target.folder, thumbnail_name(user.id, "M"))
        properties = [("PictureURL", address), ("SPS-PictureTimestamp", str(stamp))]
        if sync_state != "keep":
            properties.append(("SPS-PictureExchangeSyncState", sync_state))
        properties.append(("SPS-PicturePlaceholderState", "0"))
        sharepoint.set_properties(target.admin_host, user.upn, properties, attempt)

    return Change(user, "synced", upload.etag, upload.sha256, write)


def clear_picture(sharepoint: SharePoint, user: User) -> Change:
    """Return the change that empties the properties first, so that no reader misses a file."""

    def write(target: Target, stamp: int, attempt: Attempt) -> None:
        properties = [
            ("SPS-PicturePlaceholderState", "1"),
            ("PictureURL", ""),
            ("SPS-PictureTimestamp", str(stamp)),
        ]
        sharepoint.set_properties(target.admin_host, user.upn, properties, attempt)
        for size in ("S", "M", "L"):
            sharepoint.delete(target.my_host, target.folder, thumbnail_name(user.id, size), attempt)

    return Change(user, "cleared", "", "", write)
