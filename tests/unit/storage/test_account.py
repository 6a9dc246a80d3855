"""How the storage account's errors are classified, and how the account is configured."""

import time
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest

from local.azurite import ACCOUNT, KEY
from shared.errors import ConfigError, Denied, Refused, ServiceError, Stale, TryLater
from shared.storage.account import Storage
from shared.storage.queues import AzureOutbox, Receipt
from shared.storage.tables import ANY, AzureTable
from tests.fakes.scripted_server import reply

CONNECTION = "AzureWebJobsStorage"
KINDS = ("table", "queue")


def at(url: str) -> Storage:
    ends = ";".join(f"{kind}Endpoint={url}/{ACCOUNT}" for kind in ("Blob", "Queue", "Table"))
    return Storage(
        {CONNECTION: f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};{ends};"}
    )


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
    ("environ", "domain"),
    [
        pytest.param({"__accountName": "photos"}, "core.windows.net", id="by name"),
        pytest.param(
            {
                f"__{kind}ServiceUri": f"https://photos.{kind}.core.usgovcloudapi.net"
                for kind in (*KINDS, "blob")
            },
            "core.usgovcloudapi.net",
            id="by address",
        ),
    ],
)
@pytest.mark.parametrize("credential", [{}, {"__credential": "managedidentity", "__clientId": "who"}])
def test_an_account_with_an_identity_is_configured_as_for_the_host(
    environ: dict[str, str], domain: str, credential: dict[str, str]
) -> None:
    storage = Storage({CONNECTION + name: value for name, value in {**environ, **credential}.items()})
    hosts = [urlsplit(client.url).hostname for client in (storage.tables(), storage.queues())]
    assert storage.problems() == []
    assert hosts == [f"photos.{kind}.{domain}" for kind in KINDS]


def test_the_clients_are_built_once() -> None:
    storage = at("http://127.0.0.1:9")
    assert storage.tables() is storage.tables()
    assert storage.queues() is storage.queues()


# --- errors ---


def refused(status: int, code: str) -> bytes:
    if not code:
        return reply(status, b"<h1>Bad Request</h1>", Content_Type="text/html")
    body = f'{{"odata.error": {{"code": "{code}", "message": {{"lang": "en-US", "value": "no"}}}}}}'
    return reply(status, body.encode(), Content_Type="application/json", x_ms_error_code=code)


@pytest.mark.parametrize(
    "call",
    [
        pytest.param(lambda it: AzureTable(it, "photoledger").read("0f", "key"), id="read"),
        pytest.param(lambda it: AzureTable(it, "photoledger").merge("0f", "key", {}, 'W/"1"'), id="merge"),
        pytest.param(lambda it: AzureOutbox(it).put("photo-syncs", "{}", 0), id="put"),
        pytest.param(lambda it: AzureOutbox(it).take_back(Receipt("photo-syncs", "1", "r")), id="take back"),
    ],
)
@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, "InvalidInput", Refused),
        (400, "PropertyValueTooLarge", Refused),
        (400, "EntityTooLarge", Refused),
        (400, "MessageTooLarge", Refused),
        (400, "InvalidAuthenticationInfo", Denied),
        (400, "", TryLater),  # of a gateway on the way
        (401, "NoAuthenticationInformation", Denied),
        (403, "AuthorizationPermissionMismatch", Denied),
        (408, "RequestTimeout", TryLater),
        (409, "TableBeingDeleted", TryLater),
        (413, "RequestBodyTooLarge", Refused),
        (415, "AtomFormatNotSupported", Refused),
        (429, "TooManyRequests", TryLater),
        (503, "ServerBusy", TryLater),
    ],
)
def test_an_error_of_the_account_says_who_must_act(
    serve, call: Callable[[Storage], object], status: int, code: str, kind: type[ServiceError]
) -> None:
    with pytest.raises(ServiceError) as caught:
        call(at(serve(refused(status, code)).url))
    assert type(caught.value) is kind
    assert caught.value.status == status


@pytest.mark.parametrize(
    ("status", "code", "version", "kind"),
    [
        pytest.param(412, "UpdateConditionNotSatisfied", 'W/"1"', Stale, id="another version"),
        pytest.param(404, "ResourceNotFound", 'W/"1"', Stale, id="the row is not there any more"),
        pytest.param(409, "EntityAlreadyExists", "", Stale, id="the row exists already"),
        pytest.param(409, "TableBeingDeleted", ANY, TryLater, id="a conflict without a condition"),
    ],
)
def test_a_condition_that_does_not_hold_is_stale(
    serve, status: int, code: str, version: str | None, kind: type[Exception]
) -> None:
    table = AzureTable(at(serve(refused(status, code)).url), "photoledger")
    with pytest.raises(kind):
        table.merge("0f", "key", {"dirty": True}, version)


NO_QUEUE = refused(404, "QueueNotFound")


@pytest.mark.parametrize(
    "answers",
    [
        pytest.param([NO_QUEUE, refused(409, "QueueBeingDeleted")], id="it is being deleted"),
        pytest.param([NO_QUEUE, reply(201, b""), NO_QUEUE], id="it vanishes twice"),
    ],
)
def test_a_queue_that_cannot_be_made_is_an_outage(serve, answers: list[bytes]) -> None:
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
