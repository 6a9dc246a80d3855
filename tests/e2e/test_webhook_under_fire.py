"""The two webhooks under random requests: exactly what signed items name is queued; the rest leaves no trace.

No function reads the queues here, so that a test can read them after each burst. `FIRE=5000` in the
environment draws this many examples of each kind instead.
"""

import json
import os
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from local.azurite import Azurite
from local.bench.machine import cpu_seconds
from tests.e2e.story import Story, playing, quiet_stage
from tests.e2e.wire import Exchange, RawRequest, exchange, raw_requests
from tests.fakes.near_misses import CANARY, FOREIGN, ODD_SIGNS
from tests.fakes.posts import OURS, Credentials, Post, changes, events, posts

FACES = {"notifications": changes, "lifecycle": events}
QUEUES = {"notifications": "photo-checks", "lifecycle": "photo-subscription"}
UNHEARD = (CANARY, FOREIGN, OURS)
SLOW, LOST = 3.0, 10.0  # seconds after which Graph counts an answer as slow, or as missing
MEBIBYTE = 2**20


def fire(examples: int) -> settings:
    return settings(
        max_examples=int(os.environ.get("FIRE", examples)),
        deadline=None,
        derandomize="FIRE" not in os.environ,
        database=None,
        suppress_health_check=list(HealthCheck),
    )


class Watch:
    """Posts, then searches everything in which a trace could be left."""

    def __init__(self, story: Story) -> None:
        self._story = story
        subscription = story.subscribed()
        self.terms = Credentials(subscription["clientState"], story.stage.tenant.world.tenant_id)
        self.genuine = story.stage.tenant.graph.notification(
            subscription["id"], f"{OURS}-0000-4000-8000-{0:012}"
        )
        self._heard = len(story.log)

    def post(self, face: str, body: bytes, query: str = "") -> requests.Response:
        return self._story.stage.call("POST", face + query, key="", data=body)

    def exchange(self, request: RawRequest) -> Exchange | None:
        return exchange(self._story.stage.url, str(self._story.stage.tenant.ca), request)

    def spent(self) -> float:
        """Return the seconds of CPU that the host has used; if unknown, the time of the clock."""
        host = self._story.stage.host
        assert host
        return cpu_seconds(host.pid) if Path("/proc/self/stat").exists() else time.monotonic()

    def taken(self) -> Counter[Any]:
        """Empty the queues; return what their messages named (users or events), and how often."""
        found: Counter[Any] = Counter()
        for queue in QUEUES.values():
            for message in self._story.take(queue):
                assert message.keys() == {"v", "job"}
                job = message["job"]
                found.update(job["users"] if "users" in job else [(job["event"], job["subscription"])])
        return found

    def assert_no_trace(self, *answers: str) -> None:
        """Assert that neither the answers nor the log since the last time repeat anything of the posts."""
        log = self._story.log
        new, self._heard = log[self._heard :], len(log)
        for word in UNHEARD:
            assert word not in new.lower()
            assert not [answer for answer in answers if word in answer.lower()]

    def assert_no_trace_in_log(self) -> None:
        """Do the same for the whole log, once it contains all posts."""
        told = self._story.log.count("notifications.taken")
        assert self.post("notifications", b'{"value": []}').status_code == 202
        self._story.until(lambda: self._story.log.count("notifications.taken") > told, what="the log's end")
        self._heard = 0
        self.assert_no_trace()
        assert "Traceback" not in self._story.log


@pytest.fixture(scope="module")
def watch(storage: Azurite) -> Iterator[Watch]:
    off = {f"AzureWebJobs.{name}.Disabled": "true" for name in ("check_photos", "tend_subscription")}
    with playing(quiet_stage(storage=storage, settings=off)) as story:
        watch = Watch(story)
        yield watch
        watch.assert_no_trace_in_log()


# --- bodies ---


@pytest.mark.parametrize("face", FACES)
def test_exactly_what_signed_items_name_is_queued(watch: Watch, face: str) -> None:
    @fire(25)
    @given(st.lists(posts(FACES[face](watch.terms)), min_size=1, max_size=5))
    def burst(sent: list[Post]) -> None:
        answers = [watch.post(face, post.body) for post in sent]

        assert [answer.status_code for answer in answers] == [post.status for post in sent]
        assert watch.taken() == Counter(name for post in sent for name in post.names)
        watch.assert_no_trace(*(answer.text + str(answer.headers) for answer in answers))

    burst()


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize(
    ("size", "status"),
    [
        pytest.param(4 * MEBIBYTE, 202, id="four mebibytes"),
        pytest.param(4 * MEBIBYTE + 1, 413, id="one byte more"),
        pytest.param(5 * MEBIBYTE, 413, id="five mebibytes"),
    ],
)
def test_a_body_is_read_up_to_its_limit(watch: Watch, face: str, size: int, status: int) -> None:
    body = json.dumps({"value": [{CANARY: "x"}], "more": ""}).encode()

    answer = watch.post(face, body[:-2] + b"x" * (size - len(body)) + body[-2:])

    assert answer.status_code == status
    assert watch.taken() == Counter()
    watch.assert_no_trace(answer.text)


@pytest.mark.parametrize(
    ("item", "count", "status"),
    [
        pytest.param(b"{}", 1_398_000, 413, id="empty objects"),
        pytest.param(
            b'{"clientState":"%s.%s"}' % (b"0" * 32, b"A" * 43),
            20_971,
            202,
            id="items like signed ones",
        ),
    ],
)
def test_the_slowest_post_is_answered_before_graph_counts_it_as_slow(
    watch: Watch, item: bytes, count: int, status: int
) -> None:
    body = b'{"value":[' + b",".join([item] * count) + b"]}"

    began, spent = time.monotonic(), watch.spent()
    answer = watch.post("notifications", body.ljust(4 * MEBIBYTE))
    took, spent = time.monotonic() - began, watch.spent() - spent

    assert answer.status_code == status
    assert spent < SLOW
    assert took < LOST  # also if tests share the machine
    assert watch.taken() == Counter()


# --- the handshake ---

SIGNS = st.sampled_from([sign for sign in ODD_SIGNS if sign.isprintable() or sign.isascii()]) | st.characters(
    codec="utf-8"
)
TOKENS = st.lists(SIGNS, max_size=8).map(lambda signs: CANARY + "".join(signs)) | st.sampled_from(
    ["", " ", "<", "x" * 2048, "x" * 2049, "é" * 2048, "Validation: Testing client Request-Id: 5731e5c5"]
)


@st.composite
def spellings(draw: st.DrawFn, token: str) -> str:
    """Encode a token for a query, in one of the many ways."""
    styles = draw(st.sampled_from(["%{:02X}", "%{:02x}"])), draw(st.sampled_from(["+", "%20"]))
    bare = draw(st.sampled_from(["", "-._~", "-._~!*'():@/?$,;"])).encode()
    return "".join(
        styles[1]
        if byte == 0x20
        else chr(byte)
        if bytes([byte]).isalnum() or byte in bare
        else styles[0].format(byte)
        for byte in token.encode()
    )


@pytest.mark.parametrize("face", FACES)
def test_a_token_comes_back_exactly_or_not_at_all(watch: Watch, face: str) -> None:
    @fire(50)
    @given(TOKENS.flatmap(lambda token: st.tuples(st.just(token), spellings(token))))
    def shake(asked: tuple[str, str]) -> None:
        token, query = asked
        answer = watch.post(face, b"", f"?validationToken={query}")

        if 0 < len(token) <= 2048 and token.isprintable() and "<" not in token:
            assert (answer.status_code, answer.content.decode()) == (200, token)
            assert answer.headers["Content-Type"].partition(";")[0] == "text/plain"
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            watch.assert_no_trace(str(answer.headers))
        else:
            assert answer.status_code == 400
            watch.assert_no_trace(answer.text + str(answer.headers))

    shake()
    assert watch.taken() == Counter()


# --- whole requests ---


def test_no_request_breaks_a_webhook_or_is_repeated(watch: Watch) -> None:
    body = json.dumps({CANARY: CANARY, "value": [watch.genuine, {CANARY: FOREIGN}]}).encode()

    @fire(120)
    @given(raw_requests(body))
    def wire(request: RawRequest) -> None:
        answer = watch.exchange(request)

        if answer is None:
            assert request.cut
        elif CANARY in answer.body.decode(errors="replace"):
            assert (answer.status, answer.media_type, answer.sniff) == (200, "text/plain", "nosniff")
            assert request.asks_for_an_echo
            watch.assert_no_trace(answer.head)
        else:
            assert answer.status < 500
            watch.assert_no_trace(answer.head, answer.body.decode(errors="replace"))
        assert set(watch.taken()) <= {watch.genuine["resourceData"]["id"]}

    wire()
