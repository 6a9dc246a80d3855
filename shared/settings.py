"""The app's settings: read once from a mapping and checked as a whole; each problem names its remedy.

Nothing here reads the environment itself. No secret, tenant or host has a default.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Literal, get_args

from shared.attempt import CALLS_A_CLAIM, FUNCTION_TIMEOUT
from shared.errors import ConfigError
from shared.settings_reader import Reader, Secret
from shared.users import Scope, object_id

VERSION = "0.1.0"

ExchangeSyncState = Literal["0", "1", "keep"]
OnPhotoRemoved = Literal["clear", "keep"]

DAY = 86_400.0  # seconds
LONG_CLAIM = 3600.0  # seconds
LONGEST_RECHECK = DAY  # an older job is not deferred again
MOST_RECHECKS = 10  # each is one more check of every user that Graph names
LONG_REMOVAL = 7 * DAY
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
        return tuple(filter(None, (self._claim_warning(), self._removal_warning(), self._url_warning())))

    def _claim_warning(self) -> str:
        claim = f"CLAIM_FOR ({self.claim_for:.0f} s) is"
        if self.claim_for < FUNCTION_TIMEOUT:
            limit = f"below functionTimeout ({FUNCTION_TIMEOUT:.0f} s)"
            call = f"and no call may take longer than {self.claim_for / CALLS_A_CLAIM:.1f} s"
            return f"{claim} {limit}: two instances may write one photo at once, {call}. Set it to PT7M"
        if self.claim_for > LONG_CLAIM:
            return f"{claim} long: after a crash its user waits until it ends. Set it to PT7M"
        return ""

    def _removal_warning(self) -> str:
        if self.remove_after <= LONG_REMOVAL:
            return ""
        days = f"{self.remove_after / DAY:.0f} days"
        return f"REMOVE_AFTER is long: a removed photo stays in SharePoint for {days}. Set it to PT1H"

    def _url_warning(self) -> str:
        host = self.notification_url.partition("://")[2]
        if "/" not in host:
            return ""
        return (
            "NOTIFICATION_URL has a path, and Graph posts to it with /api/notifications behind it: "
            "if no gateway has this path, set it to https:// and the host alone"
        )

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
        host = read.text("SHAREPOINT_HOST", partial(_host_with, suffix), needed=_host_wanted(suffix))
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
            photo_folder=read.text("PHOTO_FOLDER", _folder_name, needed=_A_FOLDER, default=""),
            recheck_after=_recheck_after(read),
            remove_after=read.duration("REMOVE_AFTER", default="PT1H"),
            on_photo_removed=read.choice("ON_PHOTO_REMOVED", get_args(OnPhotoRemoved), default="clear"),
            removal_brake=read.number("REMOVAL_BRAKE", default=5, least=0, most=100),
            units_a_minute=read.number("SHAREPOINT_UNITS_PER_MINUTE", default=1000, least=100, most=100_000),
            claim_for=read.duration("CLAIM_FOR", default="PT7M"),
            company=_company_of(read, host),
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
        if group == excluded:
            read.problems.append(
                "SCOPE and EXCLUDE_GROUP name the same group, so that no user is left: change one"
            )
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
    url = re.sub(r"^https?://", lambda scheme: scheme[0].lower(), value.rstrip("/"), flags=re.IGNORECASE)
    if value and (wrong := _url_problem(url)):
        read.problems.append(f"NOTIFICATION_URL {wrong}: set it to https:// and this app's public host")
    return url


def _url_problem(url: str) -> str:
    """Return what is wrong with an address to which Graph must post, "" if nothing is."""
    # Graph posts to https only; an emulated Graph on the same machine may use plain http.
    if _LOOPBACK.fullmatch(url):
        return ""
    if not url.startswith("https://"):
        return "must begin with https://, as Graph posts nowhere else"
    host, _, path = url.removeprefix("https://").partition("/")
    if "@" in host:
        return "must have no user name and no password"
    if re.search(r"[?#]", url):
        return "must have no query and no fragment"
    if not re.fullmatch(r"[^\s:]+(:\d{1,5})?", host) or re.search(r"\s", url):
        return "must have a host and no blank"
    if re.search(r"(^|/)api(/(notifications|lifecycle))?$", path, re.IGNORECASE):
        return "must end before /api, which the app appends itself"
    return ""


def _recheck_after(read: Reader) -> tuple[float, ...]:
    found = read.durations("RECHECK_AFTER", default="PT2M,PT15M")
    if len(found) > MOST_RECHECKS:
        read.problems.append(f"RECHECK_AFTER has {len(found)} durations: set at most {MOST_RECHECKS}")
    if max(found) > LONGEST_RECHECK:
        longest = f"{LONGEST_RECHECK / DAY:.0f}"
        read.problems.append(f"RECHECK_AFTER has a duration of more than {longest} day: sweeps look later")
    return found


def _host_wanted(suffix: str) -> str:
    return f"the host alone, such as contoso{suffix} (not -my or -admin; CLOUD decides its end, {suffix})"


def _host_with(suffix: str, value: str) -> str | None:
    host = value.lower().removeprefix("https://").rstrip("/")
    known = re.fullmatch(r"[a-z0-9][a-z0-9-]*" + re.escape(suffix), host)
    return host if known and not host.partition(".")[0].endswith(("-my", "-admin")) else None


def _folder_name(value: str) -> str | None:
    return value if not re.search(r'[/\\:*?"<>|]', value) else None


_A_FOLDER = 'the name of a folder, without / \\ : * ? " < > |'
_A_COMPANY = "1 to 64 letters A to Z, digits, blanks, or any of . & - _"


def _company_of(read: Reader, host: str) -> str:
    return read.text("COMPANY", _company, needed=_A_COMPANY, default=host.partition(".")[0] or "unknown")


def _company(value: str) -> str | None:
    return value if re.fullmatch(r"[\w .&-]{1,64}", value, re.ASCII) else None
