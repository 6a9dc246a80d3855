"""`AzureWebJobsStorage` in every form that the host takes, and what is said where something is missing."""

from urllib.parse import urlsplit

import pytest

from shared.storage.account import Storage
from shared.storage.connection import CONNECTION, resolve

GOV = "core.usgovcloudapi.net"
KEY = "Zm9yYmlkZGVuIHRvIHRlbGw="
URIS = {f"__{each}ServiceUri": f"https://photos.{each}.{GOV}" for each in ("blob", "queue", "table")}
RESOURCE = "/subscriptions/0/resourcegroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/i"
IDENTITY = {"__credential": "managedidentity", "__clientId": "who"}


def environ(given: dict[str, str]) -> dict[str, str]:
    return {CONNECTION + name: value for name, value in given.items()}


def addresses(text: str) -> list[str]:
    storage = Storage({CONNECTION: text})
    assert storage.problems() == []
    return [client.url.rstrip("/") for client in (storage.queues(), storage.tables())]


# --- connection strings ---


@pytest.mark.parametrize(
    "text",
    [
        "UseDevelopmentStorage=true",
        "UseDevelopmentStorage=true;",
        "usedevelopmentstorage=TRUE",
        " UseDevelopmentStorage = True ; ",
        '"UseDevelopmentStorage=true"',
        "UseDevelopmentStorage=true;DevelopmentStorageProxyUri=http://127.0.0.1",
        "DevelopmentStorageProxyUri=http://127.0.0.1/;UseDevelopmentStorage=true",
    ],
)
def test_the_development_storage_may_be_written_in_any_form(text: str) -> None:
    local = "http://127.0.0.1:{}/devstoreaccount1"
    assert addresses(text) == [local.format(10001), local.format(10002)]


def test_the_development_storage_may_be_on_another_host() -> None:
    text = "UseDevelopmentStorage=true;DevelopmentStorageProxyUri=http://azurite"
    assert {urlsplit(url).hostname for url in addresses(text)} == {"azurite"}


SIGNED = "SharedAccessSignature=sv=2024&sig=a%3D"


@pytest.mark.parametrize(
    ("text", "domain"),
    [
        pytest.param(f"AccountName=photos;AccountKey={KEY}", "core.windows.net", id="the least"),
        pytest.param(f"AccountName=photos;AccountKey={KEY};EndpointSuffix={GOV}", GOV, id="another cloud"),
        pytest.param(f"accountname=photos;ACCOUNTKEY={KEY};endpointsuffix={GOV};", GOV, id="any case"),
        pytest.param(f";AccountName=photos;;\n AccountKey={KEY} ; EndpointSuffix={GOV}", GOV, id="blanks"),
        pytest.param(f"AccountName=photos;{SIGNED};EndpointSuffix={GOV}", GOV, id="a signature"),
        pytest.param(
            ";".join(
                f"{each}Endpoint=https://photos.{each.lower()}.{GOV}/" for each in ("Blob", "Queue", "Table")
            )
            + f";{SIGNED}",
            GOV,
            id="a signature and the three addresses",
        ),
    ],
)
def test_a_connection_string_that_the_host_takes_gives_both_services(text: str, domain: str) -> None:
    hosts = [urlsplit(url).hostname for url in addresses(text)]
    assert hosts == [f"photos.queue.{domain}", f"photos.table.{domain}"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        pytest.param("photos", "is not a connection string", id="a name"),
        pytest.param(KEY.rstrip("="), "is not a connection string", id="a key alone"),
        pytest.param("AccountName=photos", "neither AccountKey nor SharedAccessSignature", id="no key"),
        pytest.param(
            f"AccountKey={KEY};TableEndpoint=https://t;QueueEndpoint=https://q;BlobEndpoint=https://b",
            "an AccountKey and no AccountName",
            id="no name",
        ),
        pytest.param(
            f"BlobEndpoint=https://b;QueueEndpoint=https://q;{SIGNED}", "lacks TableEndpoint", id="no table"
        ),
        pytest.param(
            f"BlobEndpoint=https://b;{SIGNED}", "lacks QueueEndpoint, TableEndpoint", id="blobs only"
        ),
        pytest.param("@Microsoft.KeyVault(SecretUri=https://v/s)", "unresolved Key Vault", id="a reference"),
    ],
)
def test_what_a_connection_string_lacks_is_named(text: str, told: str) -> None:
    (problem,) = Storage({CONNECTION: text}).problems()

    assert told in problem
    assert problem.startswith(CONNECTION)
    assert text not in problem
    assert KEY not in problem


# --- with an identity ---


@pytest.mark.parametrize("change", [str, str.lower, str.upper], ids=["as documented", "lower", "upper"])
@pytest.mark.parametrize("separator", ["__", ":"])
def test_names_may_have_any_case(change, separator: str) -> None:
    given = {change(name).replace("__", separator): value for name, value in environ(URIS | IDENTITY).items()}
    found = resolve(given)

    assert found.problems == ()
    assert found.endpoints == {each: f"https://photos.{each}.{GOV}" for each in ("blob", "queue", "table")}
    assert (found.managed, found.identity) == (True, ("clientId", "who"))


def test_a_connection_string_counts_before_the_other_forms() -> None:
    given = environ({"": f"AccountName=photos;AccountKey={KEY}", "__accountName": "NO NAME"})
    assert resolve(given).problems == ()
    assert resolve(given).text.startswith("AccountName=photos;")


def test_an_address_counts_before_the_name() -> None:
    found = resolve(environ({"__accountName": "photos", "__tableServiceUri": URIS["__tableServiceUri"]}))
    assert found.endpoints["table"] == f"https://photos.table.{GOV}"
    assert found.endpoints["queue"] == "https://photos.queue.core.windows.net"


@pytest.mark.parametrize(
    "identity",
    [
        pytest.param({}, id="none"),
        pytest.param({"__clientId": "who"}, id="a client id without its credential"),
        pytest.param({"__credential": "managedidentity"}, id="the system's"),
        pytest.param(IDENTITY, id="by client id"),
        pytest.param(
            {"__credential": "ManagedIdentity", "__managedIdentityResourceId": RESOURCE}, id="by resource"
        ),
        pytest.param(
            {"__credential": "managedidentity", "__managedIdentityObjectId": "id"}, id="by object id"
        ),
    ],
)
def test_every_identity_of_the_host_gives_both_services(identity: dict[str, str]) -> None:
    storage = Storage(environ(URIS | identity))

    assert storage.problems() == []
    hosts = [urlsplit(client.url).hostname for client in (storage.queues(), storage.tables())]
    assert hosts == [f"photos.queue.{GOV}", f"photos.table.{GOV}"]


NO_QUEUE = {name: uri for name, uri in URIS.items() if "queue" not in name}


@pytest.mark.parametrize(
    ("given", "told"),
    [
        pytest.param(NO_QUEUE, ["__queueServiceUri is missing"], id="no queue"),
        pytest.param(
            {"__queueServiceUri": URIS["__queueServiceUri"]},
            ["__blobServiceUri is missing", "__tableServiceUri is missing"],
            id="only the queue",
        ),
        pytest.param(
            IDENTITY, [" is missing: set it to a connection string"], id="an identity and no account"
        ),
        pytest.param(
            {"__accountName": f"photos.blob.{GOV}"},
            ["__accountName must be the account's name alone"],
            id="a host",
        ),
        pytest.param({"__accountName": "https://photos"}, ["__accountName must be"], id="a URL for a name"),
        pytest.param({"__accountName": "Photos_1"}, ["__accountName must be"], id="not a name"),
        pytest.param(
            URIS | {"__tableServiceUri": URIS["__blobServiceUri"]},
            ["__tableServiceUri is the URL of the blob service"],
            id="another service's",
        ),
        pytest.param(
            URIS | {"__blobServiceUri": "http://photos"}, ["__blobServiceUri must begin"], id="no TLS"
        ),
        pytest.param(URIS | {"__blobServiceUri": "photos"}, ["__blobServiceUri must begin"], id="no scheme"),
        pytest.param(
            URIS | {"__blobServiceUri": "https://["}, ["__blobServiceUri is not a URL"], id="no URL"
        ),
        pytest.param(
            URIS | {"__queueServiceUri": "https://photos.queue.x.net?sig=do-not-tell"},
            ["__queueServiceUri must be a URL without signature"],
            id="a signature",
        ),
        pytest.param(
            URIS | {"__credential": "manageidentity"}, ["__credential must be"], id="a misspelt credential"
        ),
        pytest.param(
            URIS | IDENTITY | {"__managedIdentityResourceId": RESOURCE},
            ["__clientId and AzureWebJobsStorage__managedIdentityResourceId name an identity each"],
            id="two identities",
        ),
        pytest.param(
            URIS | {"__clientId": "@Microsoft.KeyVault(x)"}, ["__clientid is an unresolved"], id="a reference"
        ),
    ],
)
def test_what_is_missing_or_wrong_is_named(given: dict[str, str], told: list[str]) -> None:
    found = Storage(environ(given)).problems()

    assert len(found) == len(told)
    for problem, part in zip(found, told, strict=True):
        assert problem.startswith(f"{CONNECTION}{part}")
        assert "do-not-tell" not in problem


@pytest.mark.parametrize(
    ("cloud", "given", "warned"),
    [
        pytest.param("global", {"__accountName": "photos"}, False, id="the public cloud"),
        pytest.param("", {"__accountName": "photos"}, False, id="by default"),
        pytest.param("gcchigh", {"__accountName": "photos"}, True, id="a name in another cloud"),
        pytest.param("china", {"__accountName": "photos"} | NO_QUEUE, True, id="and not every address"),
        pytest.param("china", {"__accountName": "photos"} | URIS, False, id="with the addresses"),
        pytest.param("china", URIS, False, id="the addresses alone"),
    ],
)
def test_an_account_name_in_another_cloud_is_a_warning(
    cloud: str, given: dict[str, str], warned: bool
) -> None:
    storage = Storage(environ(given) | {"CLOUD": cloud})

    assert storage.problems() == []
    assert bool(storage.warnings()) is warned
