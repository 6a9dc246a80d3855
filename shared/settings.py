"""The app's settings: read once from a mapping and checked as a whole; each problem names its remedy.

Nothing here reads the environment itself. No secret, tenant or host has a default.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Literal, get_args

from shared.attempt import FUNCTION_TIMEOUT
from shared.errors import ConfigError
from shared.settings_reader import Reader, Secret
from shared.users import Scope, object_id

VERSION = "0.1.0"

ExchangeSyncState = Literal["0", "1", "keep"]
OnPhotoRemoved = Literal["clear", "keep"]

_LOOPBACK = re.compile(r"http://(localhost|127\.0\.0\.1)(:\d{1,5})?")


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
    """The app's settings, checked. Durations in seconds."""

    tenant_id: str
    client_id: str
    certificate: Secret | None  # PEM text or PFX bytes as given; None means managed identity
    certificate_password: Secret | None
    sharepoint_host: str
    notification_url: str
    client_state_secrets: tuple[Secret, ...]  # newest first
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

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is allowed but probably unintended, in words."""
        if self.claim_for >= FUNCTION_TIMEOUT:
            return ()
        limit = f"functionTimeout ({FUNCTION_TIMEOUT:.0f} s): two instances may write one photo at once"
        return (f"CLAIM_FOR ({self.claim_for:.0f} s) is below {limit}",)

    @property
    def admin_host(self) -> str:
        """The admin host of the tenant's central location."""
        label, _, rest = self.sharepoint_host.partition(".")
        return f"{label}-admin.{rest}"

    @property
    def user_agent(self) -> str:
        """The `User-Agent` that SharePoint asks of tools; without it they are throttled first.

        learn.microsoft.com/sharepoint/dev/general-development/how-to-avoid-getting-throttled-or-blocked-in-sharepoint-online
        """
        return f"NONISV|{self.company}|PhotoSync/{VERSION}"

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> "Settings":
        """Return the settings; raise `ConfigError` that names every one that is missing or malformed."""
        read = Reader(environ)
        cloud = CLOUDS[read.choice("CLOUD", tuple(CLOUDS), default="global")]
        suffix = cloud.sharepoint_suffix
        host = read.text("SHAREPOINT_HOST", partial(_host_with, suffix), needed=f"as in contoso{suffix}")
        settings = cls(
            tenant_id=read.text("TENANT_ID", object_id, needed="the directory's id, a GUID"),
            client_id=read.text("CLIENT_ID", object_id, needed="the application's id, a GUID"),
            certificate=read.certificate("CLIENT_CERTIFICATE"),
            certificate_password=read.secret("CLIENT_CERTIFICATE_PASSWORD"),
            sharepoint_host=host,
            notification_url=_notification_url(read),
            client_state_secrets=read.secrets("CLIENT_STATE_SECRET"),
            cloud=cloud,
            scope=_scope(read),
            exchange_sync_state=read.choice("EXCHANGE_SYNC_STATE", get_args(ExchangeSyncState), default="1"),
            photo_folder=read.text("PHOTO_FOLDER", _folder_name, default=""),
            recheck_after=read.durations("RECHECK_AFTER", default="PT2M,PT15M"),
            remove_after=read.duration("REMOVE_AFTER", default="PT1H"),
            on_photo_removed=read.choice("ON_PHOTO_REMOVED", get_args(OnPhotoRemoved), default="clear"),
            removal_brake=read.number("REMOVAL_BRAKE", default=5, least=0, most=100),
            units_a_minute=read.number("SHAREPOINT_UNITS_PER_MINUTE", default=1000, least=100, most=100_000),
            claim_for=read.duration("CLAIM_FOR", default="PT7M"),
            company=read.text("COMPANY", _company, default=host.partition(".")[0] or "unknown"),
            dry_run=read.choice("DRY_RUN", ("true", "false"), default="false") == "true",
        )
        if read.problems:
            raise ConfigError(read.problems)
        return settings


def _scope(read: Reader) -> Scope:
    value = read.raw("SCOPE").lower() or "members"
    excluded = read.text("EXCLUDE_GROUP", object_id, needed="a group's object id", default="")
    kind, _, group = value.partition(":")
    if kind == "group" and object_id(group):
        return Scope(group=group, excluded=excluded)
    if value not in ("members", "members+guests"):
        read.problems.append("SCOPE must be members, members+guests or group:<object id>")
    return Scope(guests=value == "members+guests", excluded=excluded)


def _notification_url(read: Reader) -> str:
    value = read.raw("NOTIFICATION_URL")
    if read.missing("NOTIFICATION_URL"):
        host = read.raw("WEBSITE_HOSTNAME")
        value = f"https://{host}" if host else ""
        if read.missing("WEBSITE_HOSTNAME"):
            remedy = "set it to this app's public address, https://..."
            read.problems.append(f"NOTIFICATION_URL is missing: {remedy}")
    url = value.rstrip("/")
    # Graph posts to https only; an emulated Graph on the same machine may use plain http.
    secure = url.startswith("https://") or _LOOPBACK.fullmatch(url)
    if value and (not secure or re.search(r"[\s?#]", url)):
        form = "must begin with https:// and have no query: Graph posts nowhere else"
        read.problems.append(f"NOTIFICATION_URL {form}")
    return url


def _host_with(suffix: str, value: str) -> str | None:
    host = value.lower().removeprefix("https://").rstrip("/")
    known = re.fullmatch(r"[a-z0-9][a-z0-9-]*" + re.escape(suffix), host)
    return host if known and not host.partition(".")[0].endswith(("-my", "-admin")) else None


def _folder_name(value: str) -> str | None:
    return value if not re.search(r'[/\\:*?"<>|]', value) else None


def _company(value: str) -> str | None:
    return value if re.fullmatch(r"[\w .&-]{1,64}", value, re.ASCII) else None
