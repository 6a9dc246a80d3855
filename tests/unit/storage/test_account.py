"""How the storage account's errors are classified, and how the account is configured."""

import time
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import pytest

from local.azurite import ACCOUNT, KEY
from shared.errors import ConfigError, Denied, ServiceError, Stale, TryLater
from shared.storage.account import Storage
from shared.storage.queues import AzureOutbox, Receipt
from shared.storage.tables import ANY, AzureTable
from tests.fakes.scripted_server import Reply, ScriptedServer, reply

CONNECTION = "AzureWebJobsStorage"


def at(url: str) -> Storage:
    ends = ";".join(f"{kind}Endpoint={url}/{ACCOUNT}" for kind in ("Blob", "Queue", "Table"))
    return Storage(
        {CONNECTION: f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};{ends};"}
    )


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., ScriptedServer]]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    servers: list[ScriptedServer] = []

    def start(*replies: Reply) -> ScriptedServer:
        servers.append(ScriptedServer(*replies).__enter__())
        return servers[-1]

    yield start
    for server in servers:
        server.__exit__(None, None, None)


# --- configuration ---


@pytest.mark.parametrize(
    "environ",
    [
        pytest.param({}, id="nothing"),
        pytest.param({CONNECTION: ""}, id="an empty string"),
        pytest.param({f"{CONNECTION}__credential": "managedidentity"}, id="an identity and no account"),
    ],
)
def test_an_account_that_is_not_named_is_a_problem(environ: dict[str, str]) -> None:
    storage = Storage(environ)
    (problem,) = storage.problems()
    assert CONNECTION in problem
    with pytest.raises(ConfigError):
        storage.tables()
    with pytest.raises(ConfigError):
        storage.queues()


@pytest.mark.parametrize("kind", ["tables", "queues"])
def test_a_malformed_connection_string_is_a_problem_that_does_not_repeat_it(kind: str) -> None:
    storage = Storage({CONNECTION: "AccountKey=do-not-tell"})
    with pytest.raises(ConfigError) as caught:
        getattr(storage, kind)()
    assert "do-not-tell" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_malformed_key_is_an_error_that_does_not_repeat_it() -> None:
    storage = Storage({CONNECTION: "AccountName=photos;AccountKey=do-not-tell"})
    with pytest.raises(Denied) as caught:
        AzureTable(storage, "photoledger").read("0f", "key")
    assert "do-not-tell" not in str(caught.value)


@pytest.mark.parametrize(
    ("environ", "table", "queue"),
    [
        pytest.param(
            {"__accountName": "photos"},
            "photos.table.core.windows.net",
            "photos.queue.core.windows.net",
            id="by name",
        ),
        pytest.param(
            {
                "__tableServiceUri": "https://photos.table.core.usgovcloudapi.net",
                "__queueServiceUri": "https://photos.queue.core.usgovcloudapi.net",
            },
            "photos.table.core.usgovcloudapi.net",
            "photos.queue.core.usgovcloudapi.net",
            id="by address",
        ),
    ],
)
@pytest.mark.parametrize("credential", [{}, {"__credential": "managedidentity", "__clientId": "who"}])
def test_an_account_with_an_identity_is_configured_as_for_the_host(
    environ: dict[str, str], table: str, queue: str, credential: dict[str, str]
) -> None:
    storage = Storage({CONNECTION + name: value for name, value in {**environ, **credential}.items()})
    assert storage.problems() == []
    assert urlsplit(storage.tables().url).hostname == table
    assert urlsplit(storage.queues().url).hostname == queue


def test_the_clients_are_built_once() -> None:
    storage = at("http://127.0.0.1:9")
    assert storage.tables() is storage.tables()
    assert storage.queues() is storage.queues()


# --- errors ---

CASES = [
    pytest.param(400, "InvalidInput", TryLater, id="400"),
    pytest.param(401, "NoAuthenticationInformation", Denied, id="401"),
    pytest.param(403, "AuthorizationPermissionMismatch", Denied, id="403"),
    pytest.param(429, "TooManyRequests", TryLater, id="429"),
    pytest.param(503, "ServerBusy", TryLater, id="503"),
]


def refused(status: int, code: str) -> bytes:
    body = f'{{"odata.error": {{"code": "{code}", "message": {{"lang": "en-US", "value": "no"}}}}}}'
    return reply(status, body.encode(), Content_Type="application/json", x_ms_error_code=code)


@pytest.mark.parametrize(("status", "code", "kind"), CASES)
def test_a_table_error_says_who_must_act(serve, status: int, code: str, kind: type[ServiceError]) -> None:
    table = AzureTable(at(serve(refused(status, code)).url), "photoledger")
    for call in (
        lambda: table.read("0f", "key"),
        lambda: table.merge("0f", "key", {"dirty": True}, 'W/"1"'),
    ):
        with pytest.raises(ServiceError) as caught:
            call()
        assert type(caught.value) is kind
        assert caught.value.status == status


def test_a_message_that_may_not_be_taken_back_is_an_error(serve) -> None:
    outbox = AzureOutbox(at(serve(refused(403, "AuthorizationPermissionMismatch")).url))
    with pytest.raises(Denied):
        outbox.take_back(Receipt("photo-syncs", "message", "receipt"))


@pytest.mark.parametrize(("status", "code", "kind"), CASES)
def test_a_queue_error_says_who_must_act(serve, status: int, code: str, kind: type[ServiceError]) -> None:
    outbox = AzureOutbox(at(serve(refused(status, code)).url))
    with pytest.raises(ServiceError) as caught:
        outbox.put("photo-syncs", "{}", 0)
    assert type(caught.value) is kind


@pytest.mark.parametrize(
    ("status", "code", "version"),
    [
        pytest.param(412, "UpdateConditionNotSatisfied", 'W/"1"', id="another version"),
        pytest.param(404, "ResourceNotFound", 'W/"1"', id="the row is not there any more"),
        pytest.param(409, "EntityAlreadyExists", "", id="the row exists already"),
    ],
)
def test_a_condition_that_does_not_hold_is_stale(serve, status: int, code: str, version: str) -> None:
    table = AzureTable(at(serve(refused(status, code)).url), "photoledger")
    with pytest.raises(Stale):
        table.merge("0f", "key", {"dirty": True}, version)


@pytest.mark.parametrize("code", ["TableBeingDeleted", "AccountBeingCreated"])
def test_a_conflict_without_a_condition_is_an_outage(serve, code: str) -> None:
    table = AzureTable(at(serve(refused(409, code)).url), "photoledger")
    with pytest.raises(TryLater):
        table.merge("0f", "key", {"dirty": True}, ANY)


def test_a_queue_that_is_being_deleted_is_an_outage(serve) -> None:
    outbox = AzureOutbox(at(serve(refused(404, "QueueNotFound"), refused(409, "QueueBeingDeleted")).url))
    with pytest.raises(TryLater):
        outbox.put("photo-syncs", "{}", 0)


def test_a_queue_that_vanishes_twice_is_an_outage(serve) -> None:
    answers = [refused(404, "QueueNotFound"), reply(201, b""), refused(404, "QueueNotFound")]
    outbox = AzureOutbox(at(serve(*answers).url))
    with pytest.raises(TryLater):
        outbox.put("photo-syncs", "{}", 0)


def hang_up(connection: object) -> None:
    """Close without an answer."""


def test_an_account_that_cannot_be_reached_is_an_outage_after_a_few_seconds(serve) -> None:
    storage = at(serve(hang_up).url)
    began = time.monotonic()
    for call in (
        lambda: AzureTable(storage, "photoledger").merge("0f", "key", {"dirty": True}, ANY),
        lambda: AzureOutbox(storage).put("photo-syncs", "{}", 0),
    ):
        with pytest.raises(TryLater, match="no answer"):
            call()
    assert time.monotonic() - began < 10
