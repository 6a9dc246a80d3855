"""Plan one sync: what Graph says of the user, what is to be written, and where; nothing is written here.

The decision itself is `sync.plan`, which is pure.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.attempt import Attempt
from shared.clock import Clock
from shared.graph.client import Graph
from shared.graph.photo import Gathered
from shared.jobs import Sync
from shared.ledger.row import Row, waits_for_profile
from shared.settings import Settings
from shared.sharepoint.client import SharePoint
from shared.sharepoint.targets import NotYet, Target, Targets
from shared.sync import changes
from shared.sync.changes import Change
from shared.sync.plan import KNOWN, Clear, ComeBack, Finish, Removal, Upload, plan_sync, unreadable
from shared.sync.settler import nowhere

if TYPE_CHECKING:
    from shared.pictures.thumbnails import Thumbnails


@dataclass(frozen=True, slots=True)
class Planned:
    """What to write, and where."""

    change: Change
    target: Target


@dataclass(frozen=True, slots=True)
class Planner:
    """Plans syncs. One object, long-lived, shared by all threads."""

    settings: Settings
    graph: Graph
    sharepoint: SharePoint
    targets: Targets
    clock: Clock

    def gather(self, job: Sync, attempt: Attempt) -> Gathered:
        """Return the user, their groups and their photo, as Graph says; raises as `Graph.gather` does."""
        return self.graph.gather(job.user, attempt, groups=self.settings.scope.groups)

    def plan(
        self, job: Sync, row: Row, gathered: Gathered, remove: bool, attempt: Attempt
    ) -> Planned | Finish | ComeBack:
        """Decide what to write and where, or why nothing is to be written.

        `row` is the ledger's, as claimed; `remove`: an administrator wants the picture removed now.
        SharePoint is asked only where a new user's target must be found.

        Raises:
            TryLater, Denied, Refused: Graph or SharePoint does not answer.
        """
        step = self._decide(job, row, gathered, remove, attempt)
        if isinstance(step, Finish | ComeBack):
            return step
        now, etag = self.clock.now(), step.etag if isinstance(step, Upload) else ""
        if job.removal and not job.force and waits_for_profile(row, etag, now):
            return Finish("deferred", row.reason, {"queued_at": 0.0})
        if isinstance(step, Clear):
            change = changes.clear_picture(self.sharepoint, step.user)
        else:  # SharePoint is asked nothing about bytes that are not a picture
            thumbnails = _render(step.content)
            if thumbnails is None:
                first = self.settings.recheck_after[0]
                return unreadable(step, row, tries=job.tries, first_look=first, now=now)
            state = self.settings.exchange_sync_state
            change = changes.show_picture(self.sharepoint, state, step, thumbnails)
        target = self.targets.find(step.user, row, attempt, force=job.force)
        if isinstance(target, NotYet):
            return Finish("deferred", target.reason, nowhere(row, target, etag, now), etag)
        return Planned(change, target)

    def _decide(
        self, job: Sync, row: Row, gathered: Gathered, remove: bool, attempt: Attempt
    ) -> Finish | ComeBack | Upload | Clear:
        scope, keep = self.settings.scope, self.settings.on_photo_removed == "keep"
        removal = Removal(asked=remove, swept=job.removal, after=self.settings.remove_after, keep=keep)
        now = self.clock.now()  # after Graph's answer: missing since it was seen
        step = plan_sync(
            gathered, row, scope=scope, force=job.force, tries=job.tries, now=now, removal=removal
        )
        if isinstance(step, Clear) and not self.graph.has_no_photo(job.user, attempt):
            return Finish("unchanged", "Graph has a photo after all", KNOWN | {"queued_at": 0.0})
        return step


def _render(content: bytes) -> "Thumbnails | None":
    """Return the thumbnails of a picture, None where the bytes are not a picture."""
    from shared.pictures import thumbnails  # on first use: Pillow is a third of this app's cold start

    try:
        return thumbnails.render(content)
    except thumbnails.UnreadableImage:
        return None
