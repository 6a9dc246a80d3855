"""Outgoing HTTP: sessions that threads may share, bearer authentication, and errors before sending."""

from http.cookiejar import DefaultCookiePolicy

import requests
from requests.adapters import BaseAdapter, HTTPAdapter
from requests.auth import AuthBase
from urllib3.exceptions import NewConnectionError, ProxyError

Transport = BaseAdapter  # carries a request to its host and the answer back


class _Session(requests.Session):
    """A session that never looks where a redirect leads: `requests` parses the address, and may raise."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Return that there is none to follow."""


def new_session(user_agent: str, transport: Transport | None = None) -> requests.Session:
    """Return a session that threads may share: it keeps connections, no cookies, and never retries.

    A `transport` is used instead of the network and the proxy that the environment names.
    """
    session = _Session()
    session.trust_env = transport is None
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    session.headers["User-Agent"] = user_agent
    session.mount("https://", transport or HTTPAdapter(pool_connections=8, pool_maxsize=32, max_retries=0))
    return session


class Bearer(AuthBase):
    """Adds a token to a request. It sets the header, because `requests` would let a .netrc overwrite it."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Return the request with the token on it."""
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def never_sent(error: Exception) -> bool:
    """Return whether the request cannot have reached a server: no connection was made."""
    if isinstance(error, requests.ConnectTimeout):
        return True
    reason = getattr(error.args[0] if error.args else None, "reason", None)
    if isinstance(reason, ProxyError):
        # The library raises this for a connection cut later, too: urllib3/connectionpool.py, urlopen.
        reason = reason.original_error
    return isinstance(reason, NewConnectionError) or str(reason).startswith("Tunnel connection failed")
