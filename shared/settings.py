"""The app's settings: read once from a mapping, checked as a whole, every problem named with its remedy.

Nothing here reads the environment by itself. No secret, tenant or host has a default.
"""

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NoReturn, Self, get_args

from shared.errors import ConfigError
from shared.jobs import object_id
from shared.plans import Scope

VERSION = "0.1.0"
FUNCTION_TIMEOUT = 300.0  # seconds; host.json says the same, and a test holds them together
SHORTEST_SECRET = 32  # characters

ExchangeSyncState = Literal["0", "1", "keep"]
OnPhotoRemoved = Literal["clear", "keep"]


class Secret:
    """A text that prints as stars. `reveal` is the only way to it.

    No kind of `str`: joined, sliced or written as JSON, that would show what it is.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return "'**********'"

    def __format__(self, spec: str) -> str:
        return format(repr(self), spec)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not pickled")

    def reveal(self) -> str:
        """Return the secret itself."""
        return self._text


@dataclass(frozen=True, slots=True)
class Cloud:
    """The hosts of one Microsoft cloud: learn.microsoft.com/graph/deployments."""

    login: str
    graph: str
    sharepoint_suffix: str


CLOUDS: Mapping[str, Cloud] = {
    "global": Cloud("login.microsoftonline.com", "graph.microsoft.com", ".sharepoint.com"),
    "gcchigh": Cloud("login.microsoftonline.us", "graph.microsoft.us", ".sharepoint.us"),
    "dod": Cloud("login.microsoftonline.us", "dod-graph.microsoft.us", ".sharepoint-mil.us"),
    "china": Cloud("login.partner.microsoftonline.cn", "microsoftgraph.chinacloudapi.cn", ".sharepoint.cn"),
}


@dataclass(frozen=True, slots=True)
class Settings:
    """The app's settings, checked. Durations in seconds.

    Attributes:
        certificate: PEM text or PFX bytes as given; None means managed identity.
        client_state_secrets: newest first.
        warnings: what is allowed but probably not meant.
    """

    tenant_id: str
    client_id: str
    certificate: Secret | None
    certificate_password: Secret | None
    sharepoint_host: str
    notification_url: str
    client_state_secrets: tuple[Secret, ...]
    cloud: Cloud
    scope: Scope
    exchange_sync_state: ExchangeSyncState
    photo_folder: str
    recheck_after: tuple[float, ...]
    remove_after: float
    on_photo_removed: OnPhotoRemoved
    removal_brake: int
    units_a_minute: int
    claim_for: float
    company: str
    dry_run: bool
    warnings: tuple[str, ...] = field(default=())

    @property
    def my_host(self) -> str:
        """The My Site host of the tenant's central location."""
        return _sibling(self.sharepoint_host, "-my")

    @property
    def admin_host(self) -> str:
        """The admin host of the tenant's central location."""
        return _sibling(self.sharepoint_host, "-admin")

    @property
    def user_agent(self) -> str:
        """How SharePoint wants tools to introduce themselves, or it serves them last.

        learn.microsoft.com/sharepoint/dev/general-development/how-to-avoid-getting-throttled-or-blocked-in-sharepoint-online
        """
        return f"NONISV|{self.company}|PhotoSync/{VERSION}"

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> "Settings":
        """Return the settings of `environ`.

        Raises:
            ConfigError: naming every setting that is missing or malformed.
        """
        read = _Reader(environ)
        cloud = CLOUDS[read.choice("CLOUD", tuple(CLOUDS), default="global")]
        host = read.text("SHAREPOINT_HOST", _host_of(cloud), needed=f"as in contoso{cloud.sharepoint_suffix}")
        claim_for = read.duration("CLAIM_FOR", default="PT7M")
        settings = cls(
            tenant_id=read.text("TENANT_ID", object_id, needed="the directory's id, a GUID"),
            client_id=read.text("CLIENT_ID", object_id, needed="the application's id, a GUID"),
            certificate=read.certificate("CLIENT_CERTIFICATE"),
            certificate_password=read.secret("CLIENT_CERTIFICATE_PASSWORD"),
            sharepoint_host=host,
            notification_url=read.notification_url(),
            client_state_secrets=read.secrets("CLIENT_STATE_SECRET"),
            cloud=cloud,
            scope=read.scope(),
            exchange_sync_state=read.choice("EXCHANGE_SYNC_STATE", get_args(ExchangeSyncState), default="1"),
            photo_folder=read.text("PHOTO_FOLDER", _folder_name, default=""),
            recheck_after=read.durations("RECHECK_AFTER", default="PT2M,PT15M"),
            remove_after=read.duration("REMOVE_AFTER", default="PT1H"),
            on_photo_removed=read.choice("ON_PHOTO_REMOVED", get_args(OnPhotoRemoved), default="clear"),
            removal_brake=read.number("REMOVAL_BRAKE", default=5, least=0, most=100),
            units_a_minute=read.number("SHAREPOINT_UNITS_PER_MINUTE", default=1000, least=100, most=100_000),
            claim_for=claim_for,
            company=read.text("COMPANY", _company, default=host.partition(".")[0] or "unknown"),
            dry_run=read.choice("DRY_RUN", ("true", "false"), default="false") == "true",
            warnings=_warn(claim_for),
        )
        if read.problems:
            raise ConfigError(read.problems)
        return settings


class _Reader:
    """Reads one mapping and collects every problem instead of stopping at the first."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self.problems: list[str] = []

    def raw(self, name: str) -> str:
        value = self._environ.get(name, "").strip()
        if "@Microsoft.KeyVault(" in value:
            # The platform leaves the reference as it is when it cannot read the secret.
            self.problems.append(
                f"{name} is an unresolved Key Vault reference: "
                "let the app's identity read the secret, or correct the reference"
            )
            return ""
        return value

    def _missing(self, name: str) -> bool:
        return not self._environ.get(name, "").strip()

    def text(
        self, name: str, parse: Callable[[str], str | None], *, needed: str = "", default: str | None = None
    ) -> str:
        value = self.raw(name)
        if value:
            parsed = parse(value)
            if parsed is None:
                self.problems.append(f"{name} is malformed{f': set it to {needed}' if needed else ''}")
            return parsed or ""
        if default is None and self._missing(name):
            self.problems.append(f"{name} is missing: set it to {needed}")
        return default or ""

    def choice[T: str](self, name: str, values: tuple[T, ...], *, default: T) -> T:
        value = self.raw(name).lower()
        if not value:
            return default
        for known in values:
            if value == known.lower():
                return known
        self.problems.append(f"{name} must be one of {', '.join(values)}")
        return default

    def scope(self) -> Scope:
        value = self.raw("SCOPE").lower() or "members"
        excluded = self.text("EXCLUDE_GROUP", object_id, needed="a group's object id", default="")
        kind, _, group = value.partition(":")
        if kind == "group" and object_id(group):
            return Scope(group=group, excluded=excluded)
        if value not in ("members", "members+guests"):
            self.problems.append("SCOPE must be members, members+guests or group:<object id>")
        return Scope(guests=value == "members+guests", excluded=excluded)

    def number(self, name: str, *, default: int, least: int, most: int) -> int:
        value = self.raw(name) or str(default)
        if not (value.isascii() and value.isdecimal() and len(value) < 10 and least <= int(value) <= most):
            self.problems.append(f"{name} must be a whole number from {least} to {most}")
            return default
        return int(value)

    def duration(self, name: str, *, default: str) -> float:
        seconds = self.durations(name, default=default, several=False)[0]
        if not seconds:
            self.problems.append(f"{name} must be longer than nothing, as in {default}")
        return seconds

    def durations(self, name: str, *, default: str, several: bool = True) -> tuple[float, ...]:
        texts = (self.raw(name) or default).split(",")
        seconds = [parse_duration(text) for text in texts]
        if None in seconds or (not several and len(texts) > 1):
            self.problems.append(
                f"{name} must be {'a comma list of' if several else 'an'} ISO 8601 duration, as in {default}"
            )
            return (parse_duration(default.partition(",")[0]) or 0.0,)
        return tuple(s for s in seconds if s is not None)

    def secret(self, name: str) -> Secret | None:
        value = self.raw(name)
        return Secret(value) if value else None

    def secrets(self, name: str) -> tuple[Secret, ...]:
        value = self.raw(name)
        if not value:
            if self._missing(name):
                self.problems.append(
                    f"{name} is missing: set it to at least {SHORTEST_SECRET} random characters"
                )
            return (Secret(""),)
        keys = [key.strip() for key in value.split(",")]
        if any(len(key) < SHORTEST_SECRET for key in keys) or len(keys) > 2:
            self.problems.append(
                f"{name} must be one secret, or two as new,old, each of at least {SHORTEST_SECRET} characters"
            )
        return tuple(Secret(key) for key in keys)

    def certificate(self, name: str) -> Secret | None:
        value = self.raw(name)
        if not value:
            return None
        if "-----BEGIN" in value or _is_base64(value):
            return Secret(value)
        try:
            data = Path(value).read_bytes()
        except (OSError, ValueError):
            data = b""
        if not data:
            self.problems.append(f"{name} is neither a PEM, nor a base64 PFX, nor a file that can be read")
            return None
        # A PEM may carry names in any encoding between its blocks; nobody reads them.
        pem = data.decode(errors="replace") if b"-----BEGIN" in data else ""
        return Secret(pem or base64.b64encode(data).decode())

    def notification_url(self) -> str:
        value = self.raw("NOTIFICATION_URL")
        if self._missing("NOTIFICATION_URL"):
            host = self.raw("WEBSITE_HOSTNAME")
            value = f"https://{host}" if host else ""
            if self._missing("WEBSITE_HOSTNAME"):
                self.problems.append(
                    "NOTIFICATION_URL is missing: set it to this app's public address, https://..."
                )
        url = value.rstrip("/")
        # Graph posts to https only; an emulated one on this machine may be allowed to post in the clear.
        secure = url.startswith("https://") or _LOOPBACK.fullmatch(url)
        if value and (not secure or re.search(r"[\s?#]", url)):
            self.problems.append(
                "NOTIFICATION_URL must begin with https:// and have no query: Graph posts nowhere else"
            )
        return url


_LOOPBACK = re.compile(r"http://(localhost|127\.0\.0\.1)(:\d{1,5})?")
_DURATION = re.compile(
    r"P(?:(\d{1,9})D)?(?:T(?:(\d{1,9})H)?(?:(\d{1,9})M)?(?:(\d{1,9}(?:\.\d{1,9})?)S)?)?", re.ASCII
)


def parse_duration(text: str) -> float | None:
    """Return the seconds of an ISO 8601 duration of days and less, such as `PT2M30S`; None if it is none."""
    match = _DURATION.fullmatch(text.strip().upper())
    if match is None or not any(match.groups()):
        return None
    days, hours, minutes, seconds = (float(group or 0) for group in match.groups())
    return days * 86400 + hours * 3600 + minutes * 60 + seconds


def _host_of(cloud: Cloud) -> Callable[[str], str | None]:
    pattern = re.compile(r"[a-z0-9][a-z0-9-]*" + re.escape(cloud.sharepoint_suffix))

    def parse(value: str) -> str | None:
        host = value.lower().removeprefix("https://").rstrip("/")
        label = host.partition(".")[0]
        return host if pattern.fullmatch(host) and not label.endswith(("-my", "-admin")) else None

    return parse


def _sibling(host: str, suffix: str) -> str:
    label, _, rest = host.partition(".")
    return f"{label}{suffix}.{rest}"


def _folder_name(value: str) -> str | None:
    return value if not re.search(r'[/\\:*?"<>|]', value) else None


def _company(value: str) -> str | None:
    return value if re.fullmatch(r"[\w .&-]{1,64}", value, re.ASCII) else None


def _is_base64(value: str) -> bool:
    unwrapped = "".join(value.split())  # base64 tools break lines
    try:
        return len(base64.b64decode(unwrapped, validate=True)) > 256  # no certificate with its key is shorter
    except (binascii.Error, ValueError):
        return False


def _warn(claim_for: float) -> tuple[str, ...]:
    if claim_for < FUNCTION_TIMEOUT:
        timeout = f"functionTimeout ({FUNCTION_TIMEOUT:.0f} s)"
        return (
            f"CLAIM_FOR ({claim_for:.0f} s) is below {timeout}: two instances may write one photo at once",
        )
    return ()
