"""Strategies and examples of ledger rows, for the tests of decisions about photos."""

import hashlib
from dataclasses import replace
from typing import Any, get_args

from hypothesis import settings
from hypothesis import strategies as st

from shared.ledger.row import QUEUED_FOR, Outcome, Row

PROPERTY = settings(deadline=None)  # a slow machine is not a counterexample

ANNA = "01234567-89ab-cdef-0123-456789abcdef"
NOW = 1_800_000_000.0
EARLIER, LATER = NOW - 60.0, NOW + 60.0
E, OTHER = '"BA09D118"', '"1E8FD63F"'
UNREADABLE = "unreadable image"

SKIPPED = {"refused_etag": E, "outcome": "skipped", "reason": "account is disabled"}
REFUSED = {"refused_etag": E, "outcome": "failed", "reason": UNREADABLE}

OUTCOMES = ["", *get_args(Outcome)]
ETAGS = st.sampled_from(["", E, OTHER])
MOMENTS = st.sampled_from([0.0, EARLIER, NOW, LATER])
_ROWS = st.builds(
    Row,
    user=st.just(ANNA),
    version=st.sampled_from(["", "v1"]),
    settled_etag=ETAGS,
    settled_sha256=st.sampled_from(["", hashlib.sha256(b"anna").hexdigest(), "ab"]),
    claim_until=MOMENTS,
    dirty=st.booleans(),
    unsure_until=MOMENTS,
    refused_etag=ETAGS,
    missing_since=MOMENTS,
    gone_since=MOMENTS,
    no_profile_since=MOMENTS,
    no_profile_until=MOMENTS,
    no_profile_etag=ETAGS,
    queued_at=MOMENTS | st.sampled_from([NOW - QUEUED_FOR, NOW - QUEUED_FOR + 1]),
    outcome=st.sampled_from(OUTCOMES),
    reason=st.sampled_from(["", UNREADABLE, "account is disabled", "gave up after repeated failures"]),
)
# Rows that refuse a photo are too rare among rows of random columns.
ROWS = _ROWS | _ROWS.map(lambda row: replace(row, **REFUSED)) | _ROWS.map(lambda row: replace(row, **SKIPPED))


def a_row(**columns: Any) -> Row:
    return Row(ANNA, version="v1", **columns)
