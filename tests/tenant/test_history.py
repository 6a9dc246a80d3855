"""What the tenant remembers of the requests it received."""

import pytest

from local.tenant.traffic.history import History

GRAPH = "https://graph.microsoft.com/v1.0"
MY = "https://contoso-my.sharepoint.com"


def record(history: History, *hosts: str) -> None:
    for host in hosts:
        history.end(history.begin("graph", host, "GET", "/", "agent"), 200, 0.25)


def test_a_request_is_recorded_as_it_was_sent(call, admin) -> None:
    call("GET", f"{GRAPH}/users/%23EXT%23?$select=id,mail", headers={"User-Agent": "NONISV|Contoso|App/1"})
    (entry,) = admin.history()
    assert (entry["service"], entry["host"], entry["method"]) == ("graph", "graph.microsoft.com", "GET")
    assert entry["path"] == "/v1.0/users/%23EXT%23?$select=id,mail"
    assert (entry["status"], entry["user_agent"]) == (404, "NONISV|Contoso|App/1")
    assert 0 < entry["ms"] < 10_000
    assert entry["at"].endswith("+00:00")
    assert "Bearer" not in str(entry)


def test_the_parts_of_a_batch_are_recorded_with_it(call, admin) -> None:
    (anna,) = admin.add(photo=True)
    urls = [f"/users/{anna}/photo", "/users/absent/photo"]
    parts = [{"id": str(number), "method": "GET", "url": url} for number, url in enumerate(urls)]
    call("POST", f"{GRAPH}/$batch", json={"requests": parts})
    (entry,) = admin.history()
    assert sorted(entry["parts"]) == sorted([["GET", urls[0], 200], ["GET", urls[1], 404]])


def test_requests_are_listed_in_the_order_of_their_arrival_and_by_host_and_service(call, admin) -> None:
    call("GET", f"{GRAPH}/users")
    call("GET", f"{MY}/_api/contextinfo")
    call("GET", f"{GRAPH}/subscriptions")
    numbers = [entry["number"] for entry in admin.history()]
    assert numbers == list(range(numbers[0], numbers[0] + 3))
    in_graph = admin.history(service="graph")
    assert [entry["path"] for entry in in_graph] == ["/v1.0/users", "/v1.0/subscriptions"]
    (entry,) = admin.history(host="contoso-my.sharepoint.com")
    assert entry["path"] == "/_api/contextinfo"


@pytest.mark.parametrize(("since", "expected"), [(0, [3, 4, 5]), (4, [5]), (5, [])])
def test_since_counts_from_the_number_not_from_the_place(since, expected) -> None:
    history = History()
    record(history, "a", "b")
    history.clear()
    record(history, "c", "d", "e")
    assert [entry["number"] for entry in history.entries(since=since)] == expected


def test_a_request_in_progress_is_listed_without_an_answer() -> None:
    history = History()
    history.begin("graph", "a", "GET", "/", "agent")
    (entry,) = history.entries()
    assert (entry["status"], entry["ms"]) == (None, None)
    assert history.summary()["answers"] == {"graph": {"GET": {"none": 1}}}


def test_a_summary_counts_by_service_method_and_status(call, admin) -> None:
    (anna,) = admin.add(photo=True)
    call("GET", f"{GRAPH}/users")
    since = admin.history()[-1]["number"]
    urls = [f"/users/{anna}/photo", "/users/absent/photo", "/users/absent"]
    parts = [{"id": str(number), "method": "GET", "url": url} for number, url in enumerate(urls)]
    call("POST", f"{GRAPH}/$batch", json={"requests": parts})
    call("GET", f"{GRAPH}/users", token="")
    call("POST", f"{MY}/_api/contextinfo", headers={"Accept": "application/json;odata=nometadata"})
    assert admin.summary() == {
        "last": since + 3,
        "requests": 4,
        "answers": {
            "graph": {"GET": {"200": 1, "401": 1}, "POST": {"200": 1}},
            "sharepoint-files": {"POST": {"200": 1}},
        },
        "parts": {"GET": {"200": 1, "404": 2}},
    }
    later = admin.summary(since=since, service="graph")["answers"]
    assert later == {"graph": {"GET": {"401": 1}, "POST": {"200": 1}}}
    assert admin.summary(host="contoso-my.sharepoint.com")["requests"] == 1
