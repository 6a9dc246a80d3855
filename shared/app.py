"""The composition root: builds every client once, on first use, and gives each use case what it needs.

Importing this module reads nothing and connects to nothing, so the functions are listed even where a setting
is wrong; each of them then refuses with the whole list of problems.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from shared import logs
from shared.admin.configuration import Configuration
from shared.admin.status import StatusReport
from shared.admin.sync_user import UserSync
from shared.checks.asker import Asker
from shared.checks.checker import Checker
from shared.cleanup import Cleanup
from shared.clock import Clock, SystemClock
from shared.errors import FILES, ConfigError
from shared.graph.client import Graph
from shared.ledger.failures import Failures
from shared.ledger.ledger import Ledger
from shared.poison import PoisonRecorder, PoisonStore
from shared.rest.client import HttpClient
from shared.rest.gates import Gates
from shared.rest.problems import MOVED_SHOWN_FOR, Problems, WatchedTokens
from shared.rest.session import Transport
from shared.rest.tokens import Tokens, tokens_of
from shared.settings import Settings
from shared.sharepoint.client import SharePoint
from shared.sharepoint.pace import Pace
from shared.sharepoint.targets import Targets
from shared.storage.account import Storage
from shared.storage.queues import AzureOutbox, Outbox, Queues
from shared.storage.tables import LEDGER, PARTS, STATE, AzureTable, Table
from shared.subscription.client_state import ClientState
from shared.subscription.record import SubscriptionStore
from shared.subscription.renewal import Renewal
from shared.subscription.wake import ring
from shared.sweeps.lists import ListStore
from shared.sweeps.opener import Opener
from shared.sweeps.pages import PageReader
from shared.sweeps.removals import Removals
from shared.sweeps.store import PartStore, SweepStore
from shared.sweeps.sweeper import Sweeper
from shared.sync.claims import Claims
from shared.sync.planner import Planner
from shared.sync.settler import Settler
from shared.sync.syncer import Syncer


@dataclass(frozen=True, slots=True)
class Stores:
    """Where rows and messages are kept."""

    ledger: Table
    state: Table
    parts: Table
    outbox: Outbox


class Foundation:
    """What needs no settings but the storage account's: it works while others are wrong."""

    def __init__(self, stores: Stores, clock: Clock) -> None:
        self.stores = stores
        self.clock = clock
        self.queues = Queues(stores.outbox)
        self.failures = Failures(stores.ledger, clock)
        self.ledger = Ledger(stores.ledger, self.failures)
        self.parts = PartStore(stores.parts)
        self.sweeps = SweepStore(stores.state)
        self.subscription = SubscriptionStore(stores.state)
        self.poison = PoisonStore(stores.state)
        self.gates = Gates(stores.state, clock)
        self.token_problems = Problems(stores.state, clock)
        self.redirects = Problems(stores.state, clock, FILES, MOVED_SHOWN_FOR)


@dataclass(frozen=True, slots=True)
class Services:
    """Everything that needs correct settings."""

    settings: Settings
    client_state: ClientState
    checker: Checker
    syncer: Syncer
    opener: Opener
    sweeper: Sweeper
    removals: Removals
    renewal: Renewal
    user_sync: UserSync


class App:
    """The app, from one environment; `transport` and `ring` use the network by default."""

    def __init__(
        self,
        environ: Mapping[str, str],  # the settings; read on first use, not before
        *,
        clock: Clock | None = None,  # by default the machine's
        stores: Stores | None = None,  # by default the storage account that `environ` names
        tokens: Callable[[Settings], Tokens] = tokens_of,  # makes the source of bearer tokens
        transport: Transport | None = None,  # carries requests to Microsoft and back
        ring: Callable[[str], None] | None = None,  # calls one of this app's own addresses
    ) -> None:
        self._environ = environ
        self._tokens = tokens
        self._transport = transport
        self._ring = ring
        self._lock = threading.Lock()
        self._services: Services | None = None
        self._storage = Storage(environ)
        self._base = base = Foundation(stores or _account(self._storage), clock or SystemClock())
        self.clock, self.queues = base.clock, base.queues
        self.recorder = PoisonRecorder(
            base.ledger, base.parts, base.poison, self._end_sweep, self._dry_run, base.clock
        )
        configuration = Configuration(environ, self._storage, lambda: self.services.settings, self.clock)
        self.status_report = _status_report(base, configuration, self._own_url)

    @property
    def services(self) -> Services:
        """What needs correct settings, built on first use; `ConfigError` lists every problem."""
        with self._lock:
            if self._services is None:
                self._services = self._build(self._settings())
            return self._services

    def _settings(self) -> Settings:
        """Return the settings, with the storage account's problems among the others."""
        problems = self._storage.problems()
        try:
            settings = Settings.from_environ(self._environ)
        except ConfigError as error:
            raise ConfigError((*error.problems, *problems)) from None
        if problems:
            raise ConfigError(problems)
        for warning in settings.warnings:
            logs.warning("settings.warning", problems=warning)
        return settings

    def _build(self, settings: Settings) -> Services:
        base = self._base
        tokens = WatchedTokens(self._tokens(settings), base.token_problems)
        rest = HttpClient(
            tokens, settings.user_agent, base.clock, gates=base.gates, transport=self._transport
        )
        graph = Graph(rest, settings.cloud.graph)
        client_state = ClientState([secret.reveal() for secret in settings.client_state_secrets])
        pace = Pace(base.stores.state, base.clock, settings.units_a_minute)
        syncer = _syncer(base, settings, graph, SharePoint(rest), pace)
        opener = Opener(base.sweeps, base.parts, base.queues, base.clock)
        removals = Removals(base.sweeps, base.parts, base.queues, base.clock)
        wake = self._ring or partial(ring, settings.user_agent)
        url = settings.notification_url
        renewal = Renewal(
            graph, wake, base.subscription, opener.request, base.queues, client_state, url, base.clock
        )
        asker = Asker(graph, base.gates, base.clock)
        checker = Checker(settings, base.ledger, base.parts, base.queues, asker, base.clock)
        sweeper = _sweeper(base, settings, graph, opener, removals, pace)
        user_sync = UserSync(graph, base.ledger, base.queues, syncer, base.clock, settings.dry_run)
        return Services(
            settings, client_state, checker, syncer, opener, sweeper, removals, renewal, user_sync
        )

    def _own_url(self) -> str:
        """Return the URL that Graph notifies, "" while the settings are wrong."""
        try:
            return self.services.renewal.wanted.notification_url
        except ConfigError:
            return ""

    def _dry_run(self) -> bool:
        """Return whether nothing may be written into the ledger; False while the settings are wrong."""
        try:
            return self.services.settings.dry_run
        except ConfigError:
            return False

    def _end_sweep(self, sweep: str) -> None:
        """End a sweep whose page is poison; with wrong settings its lease ends it, within an hour."""
        try:
            self.services.sweeper.fail(sweep)
        except ConfigError as error:
            logs.error("settings.wrong", problems=str(error))


def _account(storage: Storage) -> Stores:
    ledger, state, parts = (AzureTable(storage, name) for name in (LEDGER, STATE, PARTS))
    return Stores(ledger, state, parts, AzureOutbox(storage))


def _status_report(
    base: Foundation, configuration: Configuration, own_url: Callable[[], str]
) -> StatusReport:
    sweeps, parts, gates = base.sweeps, base.parts, base.gates
    problems = base.token_problems, base.redirects
    subscription, poison, failures = base.subscription, base.poison, base.failures
    return StatusReport(
        sweeps,
        parts,
        subscription,
        poison,
        failures,
        gates,
        *problems,
        base.queues,
        configuration,
        own_url,
        base.clock,
    )


def _syncer(base: Foundation, settings: Settings, graph: Graph, sharepoint: SharePoint, pace: Pace) -> Syncer:
    ledger, queues, clock = base.ledger, base.queues, base.clock
    targets = Targets(sharepoint, settings, base.redirects)
    claims = Claims(ledger, clock, settings.claim_for)
    settler = Settler(ledger, queues, targets, clock, settings.claim_for)
    planner = Planner(settings, graph, sharepoint, targets, clock)
    return Syncer(settings, ledger, queues, base.gates, pace, targets, planner, claims, settler, clock)


def _sweeper(
    base: Foundation, settings: Settings, graph: Graph, opener: Opener, removals: Removals, pace: Pace
) -> Sweeper:
    sweeps, parts, ledger, queues, clock = base.sweeps, base.parts, base.ledger, base.queues, base.clock
    cleanup = Cleanup(settings, sweeps, parts, base.poison, ledger, base.failures, pace, queues, clock)
    pages = PageReader(settings, parts, ListStore(base.stores.parts), queues, graph, clock)
    return Sweeper(settings, sweeps, parts, ledger, queues, pages, removals, opener, cleanup.tidy, clock)
