"""Faults that the tenant commits on purpose, and who did not wait as told."""

import json
import time
from collections.abc import Callable

import pytest
import requests
from werkzeug.wrappers import Request, Response

from local.tenant.admin.client import AdminError, TenantClient
from local.tenant.directory.world import World
from local.tenant.net import wire
from local.tenant.traffic.early_returns import EarlyReturns
from local.tenant.traffic.faults import Fault, Faults

GRAPH = "https://graph.microsoft.com/v1.0"
ENTRA = "https://login.microsoftonline.com"
MY = "https://contoso-my.sharepoint.com"
MANAGER = "https://contoso-admin.sharepoint.com/_api/SP.UserProfiles.PeopleManager"
QUERY = "https://contoso-admin.sharepoint.com/_vti_bin/client.svc/ProcessQuery"
FOLDER = "/User Photos/Profile Pictures"
FILES = f"{MY}/_api/web/GetFolderByServerRelativePath(decodedUrl='{FOLDER}')/Files"
ADD = f"{FILES}/Add(url='a.jpg',overwrite=true)"
FILE = f"{MY}/_api/web/GetFileByServerRelativePath(decodedUrl='{FOLDER}/a.jpg')/$value"
JSON = {"Accept": "application/json;odata=nometadata"}


def upload(call: Callable[..., requests.Response], portrait: bytes) -> requests.Response:
    return call("POST", ADD, data=portrait, headers=JSON)


def is_uploaded(call: Callable[..., requests.Response]) -> bool:
    return call("GET", FILE).status_code == 200


@pytest.fixture
def portrait(admin: TenantClient) -> bytes:
    return admin.photo(admin.add(photo=True)[0])


def request(method: str, path: str, host: str = "graph.microsoft.com") -> Request:
    return Request(wire.make_environ(wire.Head(method, path, "HTTP/1.1", {"host": host}), b"", "https", 443))


class TestWhich:
    """Which requests a fault meets."""

    @pytest.mark.parametrize(
        ("fault", "met"),
        [
            pytest.param({}, True, id="any"),
            pytest.param({"service": "graph"}, True, id="this service"),
            pytest.param({"service": "sharepoint"}, False, id="another service"),
            pytest.param({"service": "gra"}, False, id="half a service's name"),
            pytest.param({"host": "graph.microsoft.com"}, True, id="this host"),
            pytest.param({"method": "get"}, True, id="this method, in any case"),
            pytest.param({"method": "POST"}, False, id="another method"),
            pytest.param({"path": r"^/v1\.0/users\?"}, True, id="this path"),
            pytest.param({"path": r"\$top=5$"}, True, id="this query, as it was sent"),
            pytest.param({"part": True}, False, id="parts of batches only"),
        ],
    )
    def test_a_fault_applies_to_the_requests_it_names(self, call, admin, fault, met) -> None:
        admin.arm({"status": 503, **fault})
        answer = call("GET", f"{GRAPH}/users?$top=5")
        assert (answer.status_code == 503) is met
        assert admin.faults()["faults"][0]["fired"] == int(met)
        assert admin.history()[-1]["fault"] == ("status" if met else "")

    @pytest.mark.parametrize(
        ("service", "url", "method"),
        [
            pytest.param("graph", f"{GRAPH}/users", "GET", id="Graph"),
            pytest.param("entra", f"{ENTRA}/x/oauth2/v2.0/token", "POST", id="Entra"),
            pytest.param("sharepoint-files", f"{MY}/_api/web/lists", "GET", id="SharePoint's files"),
            pytest.param("sharepoint-profiles", f"{MANAGER}/x", "GET", id="SharePoint's profiles"),
            pytest.param("sharepoint-profiles", QUERY, "POST", id="SharePoint's profiles over CSOM"),
        ],
    )
    def test_each_service_has_its_name(self, call, admin, service, url, method) -> None:
        admin.arm({"service": service, "status": 418})
        assert call(method, url).status_code == 418
        assert admin.history()[-1]["service"] == service
        admin.arm({"service": "sharepoint", "status": 419})
        assert (call(method, url).status_code == 419) is service.startswith("sharepoint-")

    def test_a_fault_can_skip_some_requests_and_apply_to_the_next_few(self, call, admin) -> None:
        admin.arm({"status": 503, "skip": 1, "next": 2})
        assert [call("GET", f"{GRAPH}/users").status_code for _ in range(5)] == [200, 503, 503, 200, 200]
        (fault,) = admin.faults()["faults"]
        assert (fault["matched"], fault["fired"]) == (5, 2)

    def test_the_first_fault_that_is_due_applies(self, call, admin) -> None:
        admin.arm({"status": 500, "next": 1}, {"status": 503, "next": 1})
        assert [call("GET", f"{GRAPH}/users").status_code for _ in range(3)] == [500, 503, 200]

    def test_a_rate_applies_to_its_share_and_the_seed_decides_which(self) -> None:
        def meet(seed: int) -> list[int]:
            faults = Faults(World(), time.sleep)
            faults.arm([Fault(status=503, rate=0.25)], seed)
            answers = [faults.meet("graph", request("GET", "/"), Response) for _ in range(400)]
            return [number for number, (answer, _) in enumerate(answers) if answer.status_code == 503]

        assert meet(1) == meet(1) != meet(2)
        assert 60 < len(meet(1)) < 140


class TestWhat:
    """What a fault does."""

    def test_a_refusal_can_be_any_status_headers_and_body(self, call, admin) -> None:
        admin.turn(retry_after="decimal")
        headers = {"X-Why": "so", "Content-Type": "text/html"}
        admin.arm({"status": 599, "headers": headers, "body": "<p>", "retry_after": 2.1})
        answer = call("GET", f"{GRAPH}/users")
        assert (answer.status_code, answer.headers["X-Why"], answer.text) == (599, "so", "<p>")
        assert (answer.headers["Content-Type"], answer.headers["Retry-After"]) == ("text/html", "2.100")

    @pytest.mark.parametrize(
        ("url", "status", "code", "expected"),
        [
            pytest.param(f"{GRAPH}/users", 429, "", '"code": "TooManyRequests"', id="Graph"),
            pytest.param(f"{GRAPH}/users", 403, "Forbidden", '"code": "Forbidden"', id="Graph with a code"),
            pytest.param(f"{MY}/_api/x", 429, "", "429 TOO MANY REQUESTS", id="SharePoint throttles"),
            pytest.param(f"{MY}/_api/x", 503, "", "busy", id="SharePoint is busy"),
            pytest.param(f"{ENTRA}/x", 503, "", '"error": "temporarily_unavailable"', id="Entra"),
        ],
    )
    def test_a_refusal_is_worded_as_the_service_would(self, call, admin, url, status, code, expected) -> None:
        admin.arm({"status": status, "code": code})
        answer = call("GET", url)
        assert answer.status_code == status
        assert expected in answer.text

    @pytest.mark.parametrize("when", ["before", "after"])
    def test_a_call_fails_before_or_after_it_took_effect(self, call, admin, portrait, when) -> None:
        admin.arm({"status": 503, "when": when, "next": 1})
        assert upload(call, portrait).status_code == 503
        assert is_uploaded(call) is (when == "after")

    @pytest.mark.parametrize("when", ["before", "after"])
    def test_a_connection_is_dropped_before_or_after_the_effect(self, call, admin, portrait, when) -> None:
        admin.arm({"drop": True, "when": when, "next": 1})
        with pytest.raises(requests.exceptions.ConnectionError):
            upload(call, portrait)
        dropped = admin.history()[-1]
        assert (dropped["status"], dropped["fault"]) == (None, "drop")
        assert is_uploaded(call) is (when == "after")

    def test_a_truncated_answer_promises_more_than_it_holds(self, call, admin, portrait) -> None:
        upload(call, portrait)
        admin.arm({"truncate": True, "next": 1})
        with pytest.raises((requests.exceptions.ChunkedEncodingError, requests.exceptions.ConnectionError)):
            is_uploaded(call)
        assert admin.history()[-1]["fault"] == "truncate"
        assert is_uploaded(call)

    def test_latency_alone_delays_the_true_answer(self, call, admin) -> None:
        admin.arm({"latency": 0.2, "next": 1})
        began = time.monotonic()
        assert call("GET", f"{GRAPH}/users").status_code == 200
        assert time.monotonic() - began >= 0.2
        assert admin.history()[-1]["ms"] >= 200

    def test_a_part_of_a_batch_is_refused_by_itself(self, call, admin) -> None:
        anna, bilal = admin.add(count=2, photo=True)
        urls = {"a": f"/users/{anna}/photo", "b": f"/users/{bilal}/photo"}
        admin.arm({"part": True, "path": anna, "status": 429, "retry_after": 7})
        parts = [{"id": name, "method": "GET", "url": url} for name, url in urls.items()]
        answer = call("POST", f"{GRAPH}/$batch", json={"requests": parts})
        responses = {part["id"]: part for part in answer.json()["responses"]}
        assert {name: part["status"] for name, part in responses.items()} == {"a": 429, "b": 200}
        assert responses["a"]["headers"]["Retry-After"] == "7"
        assert responses["a"]["body"]["error"]["code"] == "TooManyRequests"
        assert admin.faults()["faults"][0]["fired"] == 1


class TestArming:
    @pytest.mark.parametrize(
        ("fault", "reason"),
        [
            pytest.param({}, "say what it does", id="nothing happens"),
            pytest.param({"status": 500, "drop": True}, "only one of", id="two things happen"),
            pytest.param({"status": 99}, "200 to 599", id="no status"),
            pytest.param({"status": 500, "rate": 0}, "rate", id="never"),
            pytest.param({"latency": 1e9}, "latency", id="for ever"),
            pytest.param({"part": True, "drop": True}, "part of a batch", id="half a connection"),
            pytest.param({"status": 500, "path": "("}, "regular expression", id="no expression"),
            pytest.param({"status": 500, "when": "during"}, "wrong type: when", id="another time"),
        ],
    )
    def test_an_invalid_fault_is_refused_and_the_armed_ones_stay(self, call, admin, fault, reason) -> None:
        admin.arm({"status": 503})
        with pytest.raises(AdminError, match=reason) as refused:
            admin.arm(fault)
        assert refused.value.status == 400
        assert "retry_after" in json.loads(str(refused.value).removeprefix("400: "))["known"]
        assert call("GET", f"{GRAPH}/users").status_code == 503


class Seconds:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class TestEarlyReturns:
    @pytest.mark.parametrize(
        ("after", "early"),
        [
            pytest.param(0.0, False, id="at the same moment"),
            pytest.param(1.9, False, id="perhaps on its way already"),
            pytest.param(2.0, True, id="two seconds later"),
            pytest.param(9.9, True, id="just before the end"),
            pytest.param(10.0, False, id="at the end"),
        ],
    )
    def test_a_request_before_the_time_is_recorded(self, after, early) -> None:
        clock = Seconds()
        early_returns = EarlyReturns(clock)
        early_returns.note_wait("graph", 10.0)
        clock.now += after
        early_returns.begin("graph", "GET", "/v1.0/users")
        assert bool(early_returns.recorded()) is early
        if early:
            (record,) = early_returns.recorded()
            assert (record["service"], record["path"]) == ("graph", "/v1.0/users")
            assert record["seconds_too_early"] == pytest.approx(10.0 - after)

    def test_a_later_shorter_wait_does_not_end_the_longer_one(self) -> None:
        clock = Seconds()
        early_returns = EarlyReturns(clock)
        early_returns.note_wait("graph", 100.0)
        early_returns.note_wait("graph", 1.0)
        clock.now += 50
        early_returns.begin("graph", "GET", "/")
        assert len(early_returns.recorded()) == 1

    def test_a_request_each_second_does_not_renew_the_grace(self) -> None:
        clock = Seconds()
        early_returns = EarlyReturns(clock)
        for _ in range(4):
            early_returns.begin("graph", "GET", "/")
            early_returns.note_wait("graph", 60.0)
            clock.now += 1
        assert len(early_returns.recorded()) == 2  # those of the third and the fourth second

    @pytest.mark.parametrize(
        ("answer", "early"),
        [
            pytest.param(Response("", 429, {"Retry-After": "30"}), 1, id="429"),
            pytest.param(Response("", 429), 0, id="429 without a time"),
            pytest.param(Response("", 429, {"Retry-After": "soon"}), 0, id="429 with nonsense"),
            pytest.param(Response("", 503, {"Retry-After": "30"}), 1, id="503"),
            pytest.param(Response("", 200, {"Retry-After": "30"}), 0, id="200"),
        ],
    )
    def test_every_answer_that_asks_to_wait_counts(self, answer, early) -> None:
        clock = Seconds()
        early_returns = EarlyReturns(clock)
        early_returns.note_answer("graph", answer.status_code, answer.headers)
        clock.now += 10
        early_returns.begin("graph", "GET", "/")
        assert len(early_returns.recorded()) == early
