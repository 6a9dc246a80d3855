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
from shared.sharepoint.targets import Targets
from shared.storage.account import Storage
from shared.storage.queues import AzureOutbox, Outbox, Queues
from shared.storage.tables import LEDGER, PARTS, STATE, AzureTable, Table
from shared.subscription.client_state import ClientState
from shared.subscription.record import SubscriptionStore
from shared.subscription.renewal import Renewal
from shared.subscription.wake import WakeUp
from shared.sweeps.opener import Opener
from shared.sweeps.pages import PageReader
from shared.sweeps.removals import Removals
from shared.sweeps.store import PartStore, SweepStore
from shared.sweeps.sweeper import Sweeper
from shared.sync.claims import Claims
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
    """What needs no settings but the storage account's: it works while others are wrong.

    Args:
        stores: where rows and messages are kept.
        clock: what time it is.
    """

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
        self.token_problems = TokenProblems(stores.state, clock)


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
        self._tokens = tokens
        self._transport = transport
        self._ring = ring
        self._lock = threading.Lock()
        self._services: Services | None = None
        self._storage = Storage(environ)
        self._base = base = Foundation(stores or _account(self._storage), clock or SystemClock())
        self.clock, self.queues = base.clock, base.queues
        self.recorder = PoisonRecorder(
            ledger=base.ledger,
            parts=base.parts,
            store=base.poison,
            end_sweep=self._end_sweep,
            dry_run=self._dry_run,
            clock=base.clock,
        )
        self.status_report = _status_report(base, self._wrong_settings)

    @property
    def services(self) -> Services:
        """What needs correct settings, built on first use.

        Raises:
            ConfigError: lists every problem.
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
        base = self._base
        tokens = WatchedTokens(self._tokens(settings), base.token_problems)
        rest = HttpClient(
            tokens, settings.user_agent, base.clock, gates=base.gates, transport=self._transport
        )
        graph = Graph(rest, settings.cloud.graph)
        client_state = ClientState([secret.reveal() for secret in settings.client_state_secrets])
        pace = Pace(base.stores.state, base.clock, settings.units_a_minute)
        syncer = _syncer(base, settings, graph, SharePoint(rest), pace)
        opener = Opener(store=base.sweeps, parts=base.parts, queues=base.queues, clock=base.clock)
        removals = Removals(store=base.sweeps, parts=base.parts, queues=base.queues, clock=base.clock)
        return Services(
            settings=settings,
            client_state=client_state,
            checker=_checker(base, settings, graph),
            syncer=syncer,
            opener=opener,
            sweeper=_sweeper(base, settings, graph, opener, removals, pace),
            removals=removals,
            renewal=self._renewal(settings, graph, client_state, opener),
            user_sync=UserSync(graph=graph, queues=base.queues, syncer=syncer, clock=base.clock),
        )

    def _renewal(
        self, settings: Settings, graph: Graph, client_state: ClientState, opener: Opener
    ) -> Renewal:
        return Renewal(
            graph=graph,
            ring=self._ring or WakeUp(settings.user_agent).ring,
            store=self._base.subscription,
            request_sweep=opener.request,
            queues=self._base.queues,
            client_state=client_state,
            notification_url=settings.notification_url,
            clock=self._base.clock,
        )

    def _wrong_settings(self) -> tuple[str, ...]:
        """Return what is wrong with the settings, as far as that shows without calling any service."""
        try:
            _ = self.services
        except ConfigError as error:
            return error.problems
        return ()

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
    return Stores(
        AzureTable(storage, LEDGER),
        AzureTable(storage, STATE),
        AzureTable(storage, PARTS),
        AzureOutbox(storage),
    )


def _status_report(base: Foundation, wrong_settings: Callable[[], tuple[str, ...]]) -> StatusReport:
    return StatusReport(
        sweeps=base.sweeps,
        parts=base.parts,
        subscription=base.subscription,
        poison=base.poison,
        failures=base.failures,
        gates=base.gates,
        token_problems=base.token_problems,
        wrong_settings=wrong_settings,
        clock=base.clock,
    )


def _checker(base: Foundation, settings: Settings, graph: Graph) -> Checker:
    return Checker(
        settings=settings,
        ledger=base.ledger,
        parts=base.parts,
        queues=base.queues,
        graph=graph,
        gates=base.gates,
        clock=base.clock,
    )


def _syncer(base: Foundation, settings: Settings, graph: Graph, sharepoint: SharePoint, pace: Pace) -> Syncer:
    targets = Targets(sharepoint, settings)
    settler = Settler(
        ledger=base.ledger,
        queues=base.queues,
        targets=targets,
        clock=base.clock,
        claim_for=settings.claim_for,
    )
    return Syncer(
        settings=settings,
        ledger=base.ledger,
        queues=base.queues,
        graph=graph,
        sharepoint=sharepoint,
        gates=base.gates,
        pace=pace,
        targets=targets,
        claims=Claims(base.ledger, base.clock, settings.claim_for),
        settler=settler,
        clock=base.clock,
    )


def _sweeper(
    base: Foundation, settings: Settings, graph: Graph, opener: Opener, removals: Removals, pace: Pace
) -> Sweeper:
    cleanup = Cleanup(
        settings=settings,
        sweeps=base.sweeps,
        parts=base.parts,
        poison=base.poison,
        ledger=base.ledger,
        failures=base.failures,
        pace=pace,
        clock=base.clock,
    )
    pages = PageReader(settings=settings, parts=base.parts, queues=base.queues, graph=graph, clock=base.clock)
    return Sweeper(
        settings=settings,
        store=base.sweeps,
        parts=base.parts,
        ledger=base.ledger,
        queues=base.queues,
        pages=pages,
        removals=removals,
        opener=opener,
        tidy=cleanup.tidy,
        clock=base.clock,
    )
