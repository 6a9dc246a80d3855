"""The composition root: builds every client once, on first use, and gives each use case what it needs.

Importing this module reads nothing and connects to nothing, so the functions are listed even where a setting
is wrong; each of them then refuses with the whole list of problems.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from shared import logs
from shared.admin.status import StatusReport
from shared.admin.sync_user import UserSync
from shared.checks.checker import Checker
from shared.cleanup import Cleanup
from shared.clock import Clock, SystemClock
from shared.errors import ConfigError
from shared.graph.client import Graph
from shared.ledger.failures import Failures
from shared.ledger.ledger import Ledger
from shared.poison import PoisonRecorder, PoisonStore
from shared.rest.client import HttpClient
from shared.rest.gates import Gates
from shared.rest.session import Transport
from shared.rest.token_problems import TokenProblems, WatchedTokens
from shared.rest.tokens import Tokens, tokens_of
from shared.settings import Settings
from shared.sharepoint.client import SharePoint
from shared.sharepoint.pace import Pace
from shared.storage.account import Storage
from shared.storage.queues import AzureOutbox, Outbox, Queues
from shared.storage.tables import LEDGER, PARTS, STATE, AzureTable, Table
from shared.subscription.client_state import ClientState
from shared.subscription.record import SubscriptionStore
from shared.subscription.renewal import Renewal
from shared.subscription.wake import WakeUp
from shared.sweeps.store import PartStore, SweepStore
from shared.sweeps.sweeper import Sweeper
from shared.sync.syncer import Syncer


@dataclass(frozen=True, slots=True)
class Services:
    """Everything that needs correct settings."""

    settings: Settings
    client_state: ClientState
    checker: Checker
    syncer: Syncer
    sweeper: Sweeper
    renewal: Renewal
    desk: UserSync


@dataclass(frozen=True, slots=True)
class Stores:
    """Where rows and messages are kept."""

    ledger: Table
    state: Table
    parts: Table
    outbox: Outbox


class App:
    """The app, from one environment.

    Args:
        environ: the settings; read on first use, not before.
        clock: what time it is; the machine's by default.
        stores: where rows and messages are kept; the storage account that `environ` names by default.
        tokens: makes the source of bearer tokens from the settings.
        transport: what carries requests to Microsoft and back; the network by default.
        ring: calls one of this app's own addresses; over the network by default.
    """

    def __init__(
        self,
        environ: Mapping[str, str],
        *,
        clock: Clock | None = None,
        stores: Stores | None = None,
        tokens: Callable[[Settings], Tokens] = tokens_of,
        transport: Transport | None = None,
        ring: Callable[[str], None] | None = None,
    ) -> None:
        self._environ = environ
        self._ring = ring
        self._tokens = tokens
        self._transport = transport
        self._lock = threading.Lock()
        self._services: Services | None = None
        self.clock = clock or SystemClock()
        self._storage = Storage(environ)
        stores = stores or _account(self._storage)
        self.queues = Queues(stores.outbox)
        self._stores = stores
        self._failures = Failures(stores.ledger, self.clock)
        self._ledger = Ledger(stores.ledger, self._failures)
        self._poison = PoisonStore(stores.state)
        self._subscription = SubscriptionStore(stores.state)
        self._parts = PartStore(stores.parts)
        self._book = SweepStore(stores.state)
        self._gates = Gates(stores.state, self.clock)
        self._refusals = TokenProblems(stores.state, self.clock)
        self.recorder = PoisonRecorder(
            ledger=self._ledger,
            parts=self._parts,
            store=self._poison,
            end_sweep=self._end_sweep,
            dry_run=self._dry_run,
            clock=self.clock,
        )
        self.health = StatusReport(
            book=self._book,
            parts=self._parts,
            subscription=self._subscription,
            poison=self._poison,
            failures=self._failures,
            gates=self._gates,
            refusals=self._refusals,
            wrong_settings=self._wrong_settings,
            clock=self.clock,
        )

    @property
    def services(self) -> Services:
        """What needs correct settings, built on first use.

        Raises:
            ConfigError: naming every problem.
        """
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
        rest = HttpClient(
            WatchedTokens(self._tokens(settings), self._refusals),
            settings.user_agent,
            self.clock,
            gates=self._gates,
            transport=self._transport,
        )
        graph = Graph(rest, settings.cloud.graph)
        client_state = ClientState([secret.reveal() for secret in settings.client_state_secrets])
        pace = Pace(self._stores.state, self.clock, settings.units_a_minute)
        syncer = self._build_syncer(settings, graph, SharePoint(rest), pace)
        checker = Checker(
            settings=settings,
            ledger=self._ledger,
            parts=self._parts,
            queues=self.queues,
            graph=graph,
            gates=self._gates,
            clock=self.clock,
        )
        tidier = Cleanup(
            settings=settings,
            book=self._book,
            parts=self._parts,
            poison=self._poison,
            ledger=self._ledger,
            failures=self._failures,
            pace=pace,
            clock=self.clock,
        )
        sweeper = Sweeper(
            settings=settings,
            book=self._book,
            parts=self._parts,
            queues=self.queues,
            graph=graph,
            tidy=tidier.tidy,
            clock=self.clock,
        )
        renewal = Renewal(
            graph=graph,
            ring=self._ring or WakeUp(settings.user_agent).ring,
            store=self._subscription,
            request_sweep=sweeper.request,
            queues=self.queues,
            client_state=client_state,
            notification_url=settings.notification_url,
            clock=self.clock,
        )
        desk = UserSync(graph=graph, queues=self.queues, syncer=syncer, clock=self.clock)
        return Services(settings, client_state, checker, syncer, sweeper, renewal, desk)

    def _build_syncer(self, settings: Settings, graph: Graph, sharepoint: SharePoint, pace: Pace) -> Syncer:
        return Syncer(
            settings=settings,
            ledger=self._ledger,
            queues=self.queues,
            graph=graph,
            sharepoint=sharepoint,
            gates=self._gates,
            pace=pace,
            clock=self.clock,
        )

    def _wrong_settings(self) -> tuple[str, ...]:
        """Return what is wrong with the settings, as far as that can be seen without a request."""
        try:
            _ = self.services
        except ConfigError as error:
            return error.problems
        return ()

    def _dry_run(self) -> bool:
        """Return whether nothing may be written into the ledger; False where the settings are wrong."""
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
    return Stores(
        AzureTable(storage, LEDGER),
        AzureTable(storage, STATE),
        AzureTable(storage, PARTS),
        AzureOutbox(storage),
    )
