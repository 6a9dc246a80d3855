"""`AzureWebJobsStorage` as the Functions host resolves it: a connection string, or the `__` forms. Pure.

Names may have any case. A connection string counts before the `__` forms. No problem repeats a value.
learn.microsoft.com/azure/azure-functions/functions-reference#configure-an-identity-based-connection
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

CONNECTION = "AzureWebJobsStorage"
SERVICES = ("blob", "queue", "table")  # those that the host and the app use
PUBLIC = "core.windows.net"  # where the host looks for an account that is given by its name
_IDENTITIES = ("clientId", "managedIdentityResourceId", "managedIdentityObjectId")
_CREDENTIALS = ("", "managedidentity", "workloadidentity")
_SAMPLE = "copy it from the storage account's page Access keys"

# learn.microsoft.com/azure/storage/common/storage-use-azurite#well-known-storage-account-and-key
_DEVELOPMENT_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
_DEVELOPMENT_PORTS = {"Blob": 10000, "Queue": 10001, "Table": 10002}


@dataclass(frozen=True, slots=True)
class Connection:
    """How the storage account is reached."""

    text: str  # a connection string that every library reads, "" where an identity is used
    endpoints: Mapping[str, str]  # with an identity: the URL of each service
    managed: bool  # whether the managed identity is named as the credential
    identity: tuple[str, str]  # the kind and the value of a user-assigned identity, empty if none is named
    problems: tuple[str, ...]
    warnings: tuple[str, ...]


def resolve(environ: Mapping[str, str]) -> Connection:
    """Return the connection of an environment, with what is wrong or missing in it."""
    prefix = CONNECTION.lower()
    found = {n.lower(): v.strip() for n, v in environ.items() if n.lower().startswith(prefix)}
    found = {name.replace(":", "__"): value for name, value in found.items() if value}
    unresolved = [name for name, value in found.items() if "@Microsoft.KeyVault(" in value]
    if unresolved:
        suffix = unresolved[0].removeprefix(prefix)
        remedy = "let the app's identity read the secret, or correct the reference"
        return _wrong([f"{CONNECTION}{suffix} is an unresolved Key Vault reference: {remedy}"])
    if text := found.get(prefix):
        return _of_text(text)
    given = {name.removeprefix(f"{prefix}__"): value for name, value in found.items()}
    return _of_identity(given, environ.get("CLOUD", "").strip().lower())


def _wrong(problems: list[str]) -> Connection:
    return Connection("", {}, managed=False, identity=("", ""), problems=tuple(problems), warnings=())


def _of_text(text: str) -> Connection:
    """Return the connection of a connection string, brought into the form that both libraries read."""
    parts = [part.strip() for part in text.strip("\"'").split(";") if part.strip()]
    if not all("=" in part for part in parts):
        return _wrong([f"{CONNECTION} is not a connection string (name=value;name=value): {_SAMPLE}"])
    pairs = {name.strip(): value.strip() for name, _, value in (part.partition("=") for part in parts)}
    named = {name.lower(): value for name, value in pairs.items()}
    if named.get("usedevelopmentstorage", "").lower() == "true":
        pairs = _development(named.get("developmentstorageproxyuri", ""))
    elif problems := _missing(named):
        return _wrong(problems)
    whole = ";".join(f"{name}={value}" for name, value in pairs.items())
    return Connection(whole, {}, managed=False, identity=("", ""), problems=(), warnings=())


def _missing(named: Mapping[str, str]) -> list[str]:
    """Return what a connection string lacks; `named` has lower-case names."""
    found = []
    if "accountkey" not in named and "sharedaccesssignature" not in named:
        found.append(f"{CONNECTION} has neither AccountKey nor SharedAccessSignature: {_SAMPLE}")
    if "accountkey" in named and "accountname" not in named:
        found.append(f"{CONNECTION} has an AccountKey and no AccountName: {_SAMPLE}")
    lacking = [each.title() for each in SERVICES if f"{each}endpoint" not in named]
    if lacking and "accountname" not in named:
        endpoints = ", ".join(f"{each}Endpoint" for each in lacking)
        found.append(f"{CONNECTION} lacks {endpoints}: add what is missing, or AccountName")
    return found


def _development(proxy: str) -> dict[str, str]:
    """Return the connection of Azurite on its usual ports, on another host if a proxy is named."""
    base = proxy.rstrip("/") or "http://127.0.0.1"
    pairs = {"DefaultEndpointsProtocol": "http", "AccountName": "devstoreaccount1"}
    ends = {f"{kind}Endpoint": f"{base}:{port}/devstoreaccount1" for kind, port in _DEVELOPMENT_PORTS.items()}
    return {**pairs, "AccountKey": _DEVELOPMENT_KEY, **ends}


def _of_identity(given: Mapping[str, str], cloud: str) -> Connection:
    """Return the connection of the `__` forms; `given` has their lower-case names."""
    account, problems = given.get("accountname", ""), []
    uris = {service: given.get(f"{service}serviceuri", "") for service in SERVICES}
    if not account and not any(uris.values()):
        uri_names = ", ".join(f"__{service}ServiceUri" for service in SERVICES)
        remedy = f"set it to a connection string, or set {CONNECTION}__accountName, or {uri_names}"
        return _wrong([f"{CONNECTION} is missing: {remedy}"])
    if account and not re.fullmatch(r"[a-z0-9]{3,24}", account):
        form = "the account's name alone, 3 to 24 lower-case letters and digits"
        uri_names = f"{CONNECTION}__blobServiceUri, __queueServiceUri and __tableServiceUri"
        problems.append(f"{CONNECTION}__accountName must be {form}; for another cloud set {uri_names}")
    for service, uri in uris.items():
        name = f"{CONNECTION}__{service}ServiceUri"
        if not uri and not account:
            problems.append(f"{name} is missing: set it to the {service} service's URL, https://...")
        elif uri and (why := _uri_problem(service, uri)):
            problems.append(f"{name} {why}")
    problems += _identity_problems(given)
    endpoints = {each: uri or f"https://{account}.{each}.{PUBLIC}" for each, uri in uris.items()}
    warnings: tuple[str, ...] = ()
    if account and not all(uris.values()) and cloud not in ("", "global"):
        elsewhere = "if it is in another cloud, set the three __*ServiceUri instead"
        warnings = (f"{CONNECTION}__accountName: the host looks for it in {PUBLIC}; {elsewhere}",)
    identity = next(((name, given[name.lower()]) for name in _IDENTITIES if name.lower() in given), ("", ""))
    managed = given.get("credential", "").lower() == "managedidentity"
    return Connection("", endpoints, managed, identity, tuple(problems), warnings)


def _uri_problem(service: str, uri: str) -> str:
    """Return what is wrong with the URL of a service, "" if nothing is."""
    try:
        parts = urlsplit(uri)
        host = parts.hostname or ""
    except ValueError:
        return f"is not a URL: set it to the {service} service's URL, https://..."
    if parts.scheme != "https" or not host:
        return (
            f"must begin with https://: an identity's token is sent nowhere else. Set it to the {service} URL"
        )
    if parts.query or parts.username or parts.password:
        return "must be a URL without signature or password: it is used with an identity"
    other = host.split(".")[1] if host.count(".") > 1 else ""
    if other in ("blob", "queue", "table", "file", "dfs", "web") and other != service:
        return f"is the URL of the {other} service: set it to the {service} service's"
    return ""


def _identity_problems(given: Mapping[str, str]) -> list[str]:
    named = [name for name in _IDENTITIES if name.lower() in given]
    found = []
    if given.get("credential", "").lower() not in _CREDENTIALS:
        found.append(f"{CONNECTION}__credential must be managedidentity, or not be set")
    if len(named) > 1:
        shown = " and ".join(f"{CONNECTION}__{name}" for name in named)
        found.append(f"{shown} name an identity each: set one of them")
    return found
