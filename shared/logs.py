"""Log a dotted event name and facts from an allow-list; never bodies, headers or tokens."""

import json
import logging
from typing import Any

FACTS = frozenset(
    {
        "after", "code", "count", "error", "etag", "event", "hosts", "lag_ms", "outcome", "problems", "queue",
        "reason", "refused", "request_id", "requests", "service", "status", "step", "subscription",
        "subscriptions", "sweep", "tries", "user", "users", "why",
    }
)  # fmt: skip

_logger = logging.getLogger("photosync")


def quieten_libraries() -> None:
    """Keep libraries from logging secrets and personal data.

    Azure's libraries log every request with its headers; MSAL logs a token response that it cannot read, with
    the token, before it raises. urllib3 logs every URL, with the shared access signature of a storage account
    in it; Pillow's decoders log what they find in the headers of a photo.
    """
    logging.getLogger("azure").setLevel(logging.WARNING)
    logging.getLogger("msal").setLevel(logging.CRITICAL)
    logging.getLogger("urllib3").setLevel(logging.ERROR)
    logging.getLogger("PIL").setLevel(logging.WARNING)


def info(name: str, /, *, level: int = logging.INFO, **facts: Any) -> None:
    """Log the event `name` with its facts, both readable in the text and as fields for a log store.

    Raises `ValueError` where a fact is not on the allow-list; found by the first test that logs it.
    """
    if unknown := set(facts) - FACTS:
        raise ValueError(f"not facts that may be logged: {sorted(unknown)}")
    shown = (f"{fact}={_shown(value)}" for fact, value in facts.items() if value not in (None, ""))
    text = " ".join([name, *shown])
    _logger.log(level, "%s", text, extra={f"photosync_{fact}": value for fact, value in facts.items()})


def _shown(value: object) -> str:
    """Return a fact on one line, whatever text a service sent."""
    text = str(value)
    return text if text.isprintable() and " " not in text else json.dumps(text)


def warning(name: str, /, **facts: Any) -> None:
    """Log what an operator should know."""
    info(name, level=logging.WARNING, **facts)


def error(name: str, /, **facts: Any) -> None:
    """Log what an operator must act on."""
    info(name, level=logging.ERROR, **facts)
