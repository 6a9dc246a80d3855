"""The two changes that are written to SharePoint: a picture, and its removal.

Each is a few calls, in an order that never shows a picture whose file is missing.
"""

from typing import TYPE_CHECKING, Protocol

from shared.attempt import Attempt
from shared.ledger.row import Outcome
from shared.settings import ExchangeSyncState
from shared.sharepoint.client import SharePoint, picture_url, thumbnail_name
from shared.sharepoint.targets import Target
from shared.sync.plan import Upload
from shared.users import User

if TYPE_CHECKING:
    from shared.pictures.thumbnails import Thumbnails


class Change(Protocol):
    """What is written for one user, and what the ledger remembers of it.

    `etag` and `sha256` are those of the photo that SharePoint shows afterwards, "" for none.
    """

    @property
    def user(self) -> User:
        """The user whose picture it is."""

    @property
    def etag(self) -> str:
        """The settled photo's ETag."""

    @property
    def sha256(self) -> str:
        """The settled photo's hash."""

    @property
    def outcome(self) -> Outcome:
        """The outcome of the sync."""

    def write(self, target: Target, stamp: int, attempt: Attempt) -> None:
        """Write the change to SharePoint.

        Args:
            target: the hosts and the folder.
            stamp: `SPS-PictureTimestamp`.
            attempt: the attempt that writes.

        Raises:
            Gone, Refused: the target is not where it was expected, or refuses.
            TryLater, Denied: not now.
        """


class Picture:
    """Three thumbnails, then the properties, the one that shows the picture last."""

    outcome: Outcome = "synced"

    def __init__(
        self, sharepoint: SharePoint, sync_state: ExchangeSyncState, upload: Upload, thumbnails: "Thumbnails"
    ) -> None:
        self._sharepoint = sharepoint
        self._sync_state = sync_state
        self._thumbnails = thumbnails
        self.user = upload.user
        self.etag = upload.etag
        self.sha256 = upload.sha256

    def write(self, target: Target, stamp: int, attempt: Attempt) -> None:
        """See `Change.write`."""
        for size, content in self._thumbnails.items():
            name = thumbnail_name(self.user.id, size)
            self._sharepoint.upload(target.my_host, target.folder, name, content, attempt)
        shown = picture_url(target.my_host, target.folder, thumbnail_name(self.user.id, "M"))
        properties = [("PictureURL", shown), ("SPS-PictureTimestamp", str(stamp))]
        if self._sync_state != "keep":
            properties.append(("SPS-PictureExchangeSyncState", self._sync_state))
        properties.append(("SPS-PicturePlaceholderState", "0"))
        self._sharepoint.set_properties(target.admin_host, self.user.upn, properties, attempt)


class Erasure:
    """The properties first, so that no user is shown a missing file, then the three files."""

    outcome: Outcome = "cleared"
    etag = ""
    sha256 = ""

    def __init__(self, sharepoint: SharePoint, user: User) -> None:
        self._sharepoint = sharepoint
        self.user = user

    def write(self, target: Target, stamp: int, attempt: Attempt) -> None:
        """See `Change.write`."""
        properties = [
            ("SPS-PicturePlaceholderState", "1"),
            ("PictureURL", ""),
            ("SPS-PictureTimestamp", str(stamp)),
        ]
        self._sharepoint.set_properties(target.admin_host, self.user.upn, properties, attempt)
        for size in ("S", "M", "L"):
            name = thumbnail_name(self.user.id, size)
            self._sharepoint.delete(target.my_host, target.folder, name, attempt)
