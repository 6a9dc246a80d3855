"""A thin client of the tenant's admin face, for the demo and for tests."""

from collections.abc import Iterable, Mapping
from typing import Any, Literal, Self
from urllib.parse import quote

import requests

TIMEOUT = 60.0  # seconds; a hundred thousand people take some

Json = dict[str, Any]
Notify = Literal["on", "off", "twice"] | float | None


class AdminError(Exception):
    """The admin face refused a call. `status` is the HTTP status, the text the reason."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(f"{status}: {reason}")
        self.status = status


class TenantClient:
    """Play administrator, Exchange user and SharePoint reader of the tenant at `url`.

    `key` is an object id or a UPN. Every method raises `AdminError` if the face refuses.
    """

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        self._session = requests.Session()
        self._session.trust_env = False  # a proxy named there is the tenant's own

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    def settings(self) -> Json:
        """Return what the ready line says, `settings` among it."""
        return self._ask("GET", "/settings")

    def add(self, **facts: Any) -> list[str]:
        """Add people: `count`, `upn`, `name`, `guest`, `mailbox`, `enabled`, `geo`, `folder`, `photo`."""
        return list(self._ask("POST", "/users", json=facts)["ids"])

    def users(self, limit: int = 1000) -> list[Json]:
        """Return the users who are not deleted, at most `limit`."""
        return list(self._ask("GET", "/users", params={"limit": limit})["users"])

    def user(self, key: str) -> Json:
        """Return a person's facts, `source` and `target`."""
        return self._ask("GET", _user(key))

    def change(self, key: str, **changes: Any) -> Json:
        """Change a person: `upn`, `name`, `geo`, `enabled`, `mailbox`, `gone`."""
        return self._ask("POST", _user(key), json=changes)

    def configure(self, key: str, **changes: Any) -> Json:
        """Change a person's SharePoint profile: `profile`, `object_id`, `folder`, `picture`, ..."""
        return self._ask("PUT", f"{_user(key)}/profile", json=changes)

    def photo(self, key: str) -> bytes:
        """Return the source's bytes."""
        return self._call("GET", f"{_user(key)}/photo").content

    def shown(self, key: str, size: Literal["S", "M", "L"] = "L") -> bytes:
        """Return the picture that SharePoint shows its readers, a silhouette if it has no picture."""
        return self._call("GET", f"{_user(key)}/shown", params={"size": size}).content

    def set_photo(self, key: str, data: bytes, *, notify: Notify = None, raw: bool = False) -> Json:
        """Upload a photo as its owner would; `raw` stores bytes that Exchange would refuse."""
        query = _notify(notify) | ({"raw": "true"} if raw else {})
        return self._ask("PUT", f"{_user(key)}/photo", data=data, params=query)

    def draw_photo(self, key: str, *, notify: Notify = None) -> Json:
        """Give a person a new portrait, drawn on the spot."""
        return self._ask("PUT", f"{_user(key)}/photo", params={"drawn": "true"} | _notify(notify))

    def remove_photo(self, key: str, *, notify: Notify = None) -> None:
        """Remove a photo as its owner would."""
        self._ask("DELETE", f"{_user(key)}/photo", params=_notify(notify))

    def create_group(self, *members: str, name: str = "") -> str:
        """Create a group of people (ids or UPNs) and groups (ids); return its id."""
        return str(self._ask("POST", "/groups", json={"members": [*members], "name": name})["id"])

    def set_members(self, group: str, *members: str) -> Json:
        """Replace a group's members; return the group."""
        return self._ask("PUT", f"/groups/{quote(group, safe='')}/members", json={"members": [*members]})

    def groups(self) -> list[Json]:
        """Return every group: `id`, `name`, `members`, and how many `people` are in it."""
        return list(self._ask("GET", "/groups")["groups"])

    def rename(self, name: str, **how: Any) -> Json:
        """Give the tenant another SharePoint domain name; `how`: `sites`, `profiles`."""
        return self._ask("POST", "/domain", json={"name": name, **how})

    def history(self, *, host: str = "", service: str = "", since: int = 0) -> list[Json]:
        """Return the requests received, oldest first."""
        query = {"host": host, "service": service, "since": str(since)}
        return list(self._ask("GET", "/history", params=query)["requests"])

    def clear_history(self) -> int:
        """Forget the requests received; return the number of the last."""
        return int(self._ask("DELETE", "/history")["last"])

    def summary(self, **query: str | int) -> Json:
        """Return how many requests were received, by service, method and status, and batches' `parts`."""
        return self._ask("GET", "/history/summary", params=query)

    def limit(self, **limits: int | None) -> Json:
        """Replace the quotas and count from zero; without an argument there are no quotas."""
        return self._ask("PUT", "/quota", json=limits)

    def quota(self) -> Json:
        """Return the `limits`, how many `calls` were counted and `throttled`, and what was `used`."""
        return self._ask("GET", "/quota")

    def arm(self, *faults: Mapping[str, Any], seed: int | None = None) -> Json:
        """Replace the armed faults; without an argument no fault is armed."""
        return self._ask("PUT", "/faults", json={"faults": [*faults], "seed": seed})

    def disarm(self) -> None:
        """Disarm all faults, and forget the requests that returned early."""
        self._ask("DELETE", "/faults")

    def faults(self) -> Json:
        """Return the armed `faults` and the requests that returned early, `early_return`."""
        return self._ask("GET", "/faults")

    def turn(self, **knobs: Any) -> Json:
        """Set knobs; return the values of all."""
        return dict(self._ask("PUT", "/knobs", json=knobs)["knobs"])

    def consent(self, *, graph: Iterable[str] | None = None, sharepoint: Iterable[str] | None = None) -> Json:
        """Replace the permissions granted on a resource; return what is granted."""
        given = {"graph": graph, "sharepoint": sharepoint}
        wanted = {name: [*roles] for name, roles in given.items() if roles is not None}
        return self._ask("PUT", "/permissions", json=wanted)

    def sign_in(self, role: str) -> str:
        """Return the token for Graph that Azure CLI gets for a person with this role in the directory."""
        return str(self._ask("POST", "/administrators", json={"role": role})["token"])

    def subscriptions(self) -> list[Json]:
        """Return every subscription."""
        return list(self._ask("GET", "/subscriptions")["subscriptions"])

    def lose(self, subscription: str) -> None:
        """Lose a subscription silently."""
        self._ask("POST", f"/subscriptions/{quote(subscription)}/lose")

    def reauthorize(self, subscription: str) -> None:
        """Make Graph ask for reauthorization."""
        self._ask("POST", f"/subscriptions/{quote(subscription)}/reauthorize")

    def advance(self, seconds: float) -> str:
        """Move the tenant's time forward; return it."""
        return str(self._ask("POST", "/clock", json={"advance": seconds})["now"])

    def reset(self) -> None:
        """Start over with a fresh tenant at the same address."""
        self._ask("POST", "/reset")

    def _ask(self, method: str, path: str, **how: Any) -> Json:
        return dict(self._call(method, path, **how).json())

    def _call(self, method: str, path: str, **how: Any) -> requests.Response:
        response = self._session.request(method, self._url + path, timeout=TIMEOUT, **how)
        if not response.ok:
            raise AdminError(response.status_code, response.text.strip())
        return response


def _user(key: str) -> str:
    return f"/users/{quote(key, safe='')}"


def _notify(notify: Notify) -> dict[str, str]:
    return {} if notify is None else {"notify": str(notify)}
