"""Faults that are planted into a copy of the app, to prove that the simulation finds them.

Each fault replaces a few words in the app's own code. If the code no longer contains those words, planting
fails: whenever the code changes, state again how it can be wrong.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SEEDS = 500  # the number of seeds within which each fault must be found


@dataclass(frozen=True)
class Edit:
    """A replacement of `words` by `others` in one module of `shared`."""

    module: str
    words: str
    others: str


@dataclass(frozen=True)
class Planted:
    """One fault.

    Attributes:
        name: what is wrong.
        seed: the first seed that found it at the last search.
        found: a pattern of the violation: a copy that merely crashes does not count as found.
        edits: the changes that make the app wrong.
    """

    name: str
    seed: int
    found: str
    edits: tuple[Edit, ...]


def plant(fault: Planted, where: Path) -> None:
    """Copy the app with this fault to `where`, beside the unchanged tests.

    Raises:
        ValueError: the words to replace do not occur in the code exactly once.
    """
    shutil.copytree(ROOT / "shared", where / "shared")
    for name in ("tests", "local"):
        (where / name).symlink_to(ROOT / name)
    for edit in fault.edits:
        path = where / "shared" / f"{edit.module}.py"
        text = path.read_text()
        if text.count(edit.words) != 1:
            raise ValueError(f"{fault.name}: {edit.module} has {text.count(edit.words)} times: {edit.words}")
        path.write_text(text.replace(edit.words, edit.others))


FAULTS = (
    Planted(
        "a torn gather is settled",
        25,
        "settles .* and SharePoint shows",
        (
            Edit("sync/plan", "if announced != gathered.content_etag and tries < TRIES_TORN:", "if False:"),
            Edit(
                "sync/plan",
                "etag, digest = gathered.content_etag,",
                "etag, digest = getattr(gathered.source, 'etag', ''),",
            ),
        ),
    ),
    Planted(
        "a settle has no condition",
        29,
        "settles .* and SharePoint shows|wrote .* after .* was settled",
        (
            Edit(
                "ledger/ledger",
                "self.table.merge(row.user[:2], row.user, columns, row.version)",
                "self.table.merge(row.user[:2], row.user, columns, "
                'ANY if "settled_at" in columns else row.version)',
            ),
        ),
    ),
    Planted(
        "a lost claim has no follow-up",
        142,
        "settles .* and SharePoint shows|wrote .* after .* was settled|cleared a photo that was settled",
        (
            Edit("sync/claims", "if row.claim_until and row.dirty:", "if False:"),
            Edit(
                "sync/settler",
                "return self._settle_lost(job, change.etag, checked_after=unsure_until if queued else 0.0)",
                'return Result(job.user, "deferred", "lost", change.etag)',
            ),
        ),
    ),
    Planted(
        "the same bytes save the upload of a dirty row",
        5,
        "settles .* and SharePoint shows|wrote .* after .* was settled",
        (
            Edit(
                "sync/plan",
                "if at_rest and row.settled_sha256 == digest:",
                "if row.settled_sha256 == digest:",
            ),
            Edit("sync/plan", '"refused_etag": ""}', '"refused_etag": "", "dirty": False}'),
        ),
    ),
    Planted(
        "a dirty row is taken for unchanged",
        312,
        "the row is dirty",
        (
            Edit(
                "checks/decision",
                "return later_check_queued or (not row.dirty and row.unsure_until <= now)",
                "return True",
            ),
        ),
    ),
    Planted(
        "a photo is removed the first time that it is missing",
        7,
        "cleared a photo missing since",
        (
            Edit(
                "checks/decision",
                "old = bool(row.missing_since) and now - row.missing_since >= remove_after",
                "old = True",
            ),
            Edit(
                "sync/plan",
                "overdue = bool(row.missing_since) and now - row.missing_since >= removal.after",
                "overdue = True",
            ),
        ),
    ),
    Planted(
        "missing_since is never reset",
        197,
        "cleared a photo that was settled since",
        (
            Edit("sync/plan", '_AT_REST: RowColumns = {"missing_since": 0.0, ', "_AT_REST: RowColumns = {"),
            Edit(
                "checks/decision",
                '        noted["missing_since"] = 0.0\n',
                "        pass\n",
            ),
            Edit("sync/settler", '        "missing_since": 0.0,\n', ""),
            Edit("sync/settler", 'del columns["missing_since"]', "pass"),
        ),
    ),
    Planted(
        "the brake is ignored",
        7,
        "removes although . of . are lost",
        (Edit("sweeps/tally", "return totals.removable > 0 and", "return False and"),),
    ),
    Planted(
        "follow-up messages are sent after the write that answers the message",
        57,
        "settled .* the source is",
        (
            Edit("checks/checker", "            self._queue_changed(job, found)\n", ""),
            Edit(
                "checks/checker",
                "            self._answer(job, answers)\n            self._defer_unanswered",
                "            self._answer(job, answers)\n            self._queue_changed(job, found)\n"
                "            self._defer_unanswered",
            ),
        ),
    ),
    Planted(
        "a new name is written to without a check of its owner",
        8,
        "wrote to the profile of",
        (
            Edit(
                "sharepoint/targets",
                "if row.folder and row.upn.lower() == user.upn.lower() and (admin",
                "if row.folder and (admin",
            ),
        ),
    ),
    Planted(
        "every doubt is checked on its own",
        18,
        "doubts about",
        (
            Edit(
                "sync/settler",
                "queued = unsure_until > now and row.recheck_at < _recheck_at(unsure_until)",
                "queued = unsure_until > now",
            ),
            Edit("checks/decision", "row.recheck_at - now > RECHECK_MARGIN", "False"),
        ),
    ),
    Planted(
        "a claim is never ended",
        0,
        "never (ended|done)",
        (Edit("sync/claims", 'self.write({**columns, "claim_until": 0.0})', "self.write(columns)"),),
    ),
    Planted(
        "a message has two successors",
        0,
        "sends 2 messages",
        (
            Edit(
                "storage/queues",
                "        self.outbox.put(job.queue, jobs.write(job), wait)\n",
                "        self.outbox.put(job.queue, jobs.write(job), wait)\n"
                "        self.outbox.put(job.queue, jobs.write(job), wait)\n",
            ),
        ),
    ),
    Planted(
        "poison is left to the host, which runs it five times",
        110,
        "an outage counts against its message",
        (
            Edit(
                "triggers",
                'self.app.queues.defer_raw(f"{kind.queue}-poison", body.decode(), math.ceil(after))',
                "raise",
            ),
        ),
    ),
    Planted(
        "the excluded group is ignored",
        133,
        "already out of scope when it claimed",
        (Edit("users", "if scope.excluded and scope.excluded in user.groups:", "if False:"),),
    ),
    Planted(
        "a user who comes back into scope stays skipped",
        30,
        "settled .* the source is",
        (
            Edit(
                "checks/decision",
                'if refused(etag, row) and not (sweep and row.outcome == "skipped"):',
                "if refused(etag, row):",
            ),
        ),
    ),
)
