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
class Planted:
    """One fault.

    Attributes:
        name: what is wrong.
        seed: the first seed that found it at the last search.
        found: a pattern of the violation: a copy that merely crashes does not count as found.
        edits: the changes that make the app wrong: a module of `shared`, words in it, and other words.
    """

    name: str
    seed: int
    found: str
    edits: tuple[tuple[str, str, str], ...]

    @classmethod
    def by(cls, name: str, seed: int, found: str, *edits: tuple[str, str, str]) -> "Planted":
        return cls(name, seed, found, edits)


def plant(fault: Planted, where: Path) -> None:
    """Copy the app with this fault to `where`, beside the unchanged tests.

    Raises:
        ValueError: the words to replace do not occur in the code exactly once.
    """
    shutil.copytree(ROOT / "shared", where / "shared")
    for name in ("tests", "local"):
        (where / name).symlink_to(ROOT / name)
    for module, words, others in fault.edits:
        path = where / "shared" / f"{module}.py"
        text = path.read_text()
        if text.count(words) != 1:
            raise ValueError(f"{fault.name}: {module} has {text.count(words)} times: {words}")
        path.write_text(text.replace(words, others))


FAULTS = (
    Planted.by(
        "a torn gather is settled",
        25,
        "settles .* and SharePoint shows",
        (
            "sync/plan",
            "if announced != etag and tries_before(row, etag, tries, now) < TRIES_TORN:",
            "if False:",
        ),
        (
            "sync/plan",
            "etag, digest = gathered.content_etag,",
            "etag, digest = getattr(gathered.source, 'etag', ''),",
        ),
    ),
    Planted.by(
        "a settle has no condition",
        135,
        "settles .* and SharePoint shows|wrote .* after .* was settled",
        (
            "ledger/ledger",
            "self.table.merge(row.user[:2], row.user, columns, row.version)",
            (
                "self.table.merge(row.user[:2], row.user, columns, "
                'ANY if "settled_at" in columns else row.version)'
            ),
        ),
    ),
    Planted.by(
        "a lost claim has no follow-up",
        197,
        "settles .* and SharePoint shows|wrote .* after .* was settled|cleared a photo that was settled",
        ("sync/claims", "if row.claim_until and row.dirty:", "if False:"),
        (
            "sync/settler",
            "return self._settle_lost(job, change.etag, checked_after=unsure_until if queued else 0.0)",
            'return Result(job.user, "deferred", "lost", change.etag)',
        ),
    ),
    Planted.by(
        "the same bytes save the upload of a dirty row",
        125,
        "settles .* and SharePoint shows|wrote .* after .* was settled",
        ("sync/plan", "if at_rest and row.settled_sha256 == digest:", "if row.settled_sha256 == digest:"),
        ("sync/plan", '"refused_etag": ""}', '"refused_etag": "", "dirty": False}'),
    ),
    Planted.by(
        "a dirty row is taken for unchanged",
        312,
        "the row is dirty",
        (
            "checks/decision",
            "return later_check_queued or (not row.dirty and row.unsure_until <= now)",
            "return True",
        ),
    ),
    Planted.by(
        "a photo is removed the first time that it is missing",
        7,
        "cleared a photo missing since",
        (
            "checks/decision",
            "old = bool(row.missing_since) and now - row.missing_since >= remove_after",
            "old = True",
        ),
        (
            "sync/plan",
            "overdue = bool(row.missing_since) and now - row.missing_since >= removal.after",
            "overdue = True",
        ),
    ),
    Planted.by(
        "missing_since is never reset",
        11,
        "cleared a photo that was settled since",
        ("sync/plan", '_AT_REST: RowColumns = {"missing_since": 0.0, ', "_AT_REST: RowColumns = {"),
        ("checks/decision", '        noted["missing_since"] = 0.0\n', "        pass\n"),
        ("sync/settler", '        "missing_since": 0.0,\n', ""),
        ("sync/settler", 'del columns["missing_since"]', "pass"),
    ),
    Planted.by(
        "the brake is ignored",
        175,
        "removes although . of . are lost",
        ("sweeps/tally", "return totals.removable > 0 and", "return False and"),
    ),
    Planted.by(
        "follow-up messages are sent after the write that answers the message",
        82,
        "settled .* the source is",
        ("checks/checker", "            self._queue_changed(job, found)\n", ""),
        (
            "checks/checker",
            "            self._answer(job, answers)\n            self._defer_unanswered",
            (
                "            self._answer(job, answers)\n            self._queue_changed(job, found)\n"
                "            self._defer_unanswered"
            ),
        ),
    ),
    Planted.by(
        "a new name is written to without a check of its owner",
        18,
        "wrote to the profile of",
        (
            "sharepoint/targets",
            "and self.known(row) and row.upn.lower() == user.upn.lower():",
            "and self.known(row):",
        ),
    ),
    Planted.by(
        "every doubt is checked on its own",
        11,
        "doubts about",
        (
            "sync/settler",
            "queued = unsure_until > now and row.recheck_at < _recheck_at(unsure_until)",
            "queued = unsure_until > now",
        ),
        ("checks/decision", "row.recheck_at - now > RECHECK_MARGIN", "False"),
    ),
    Planted.by(
        "a claim is never ended",
        0,
        "never (ended|done)",
        ("sync/claims", 'self.write({**columns, "claim_until": 0.0})', "self.write(columns)"),
    ),
    Planted.by(
        "a message has two successors",
        1,
        "sends 2 messages",
        (
            "storage/queues",
            "        self.outbox.put(job.queue, jobs.write(job), wait)\n",
            (
                "        self.outbox.put(job.queue, jobs.write(job), wait)\n"
                "        self.outbox.put(job.queue, jobs.write(job), wait)\n"
            ),
        ),
    ),
    Planted.by(
        "poison is left to the host, which runs it five times",
        176,
        "an outage counts against its message",
        (
            "triggers",
            'self.app.queues.defer_raw(f"{kind.queue}-poison", _text_of(body), math.ceil(after))',
            "raise",
        ),
    ),
    Planted.by(
        "a gate is closed by one user",
        3,
        "closes the gate .* because of",
        ("rest/gates", "if suspects == {user} or (user in before and few):", "if False:"),
    ),
    Planted.by(
        "the excluded group is ignored",
        133,
        "already out of scope when it claimed",
        ("users", "if scope.excluded and scope.excluded in user.groups:", "if False:"),
    ),
    Planted.by(
        "a cursor that stands still",
        58,
        "reads the page .* again",
        ("sweeps/lists", 'if found and found[0]["page"] != page:', "if False:"),
    ),
    Planted.by(
        "a user who comes back into scope stays skipped",
        16,
        "settled .* the source is",
        (
            "checks/decision",
            'if refused(etag, row) and not (sweep and row.outcome == "skipped"):',
            "if refused(etag, row):",
        ),
    ),
)
