"""Quotas as an application meets them: refusals, what they tell, what they spare, and what is reported."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
import requests

from local.tenant.admin.client import AdminError, TenantClient
from local.tenant.sharepoint.csom import count_methods
from local.tenant.traffic import refusals
from tests.tenant.sharepoint_client import query

GRAPH = "https://graph.microsoft.com/v1.0"
FILES = "https://contoso-my.sharepoint.com/_api/contextinfo"
ADMIN = "https://contoso-admin.sharepoint.com"
PROFILE = (
    f"{ADMIN}/_api/SP.UserProfiles.PeopleManager/GetPropertiesFor(accountName=@v)?@v='i:0%23.f|membership|x'"
)
QUERY = f"{ADMIN}/_vti_bin/client.svc/ProcessQuery"
JSON = {"Accept": "application/json;odata=nometadata"}

Call = Callable[..., requests.Response]


def use_files(call: Call, times: int = 1, url: str = FILES) -> list[int]:
    return [call("POST", url, headers=JSON).status_code for _ in range(times)]


def read_profile(call: Call) -> requests.Response:
    return call("GET", PROFILE, headers=JSON)


def process(call: Call, methods: int) -> requests.Response:
    values = [("SPS-PictureTimestamp", str(number)) for number in range(methods)]
    body = query("anna@contoso.com", *values)
    return call("POST", QUERY, data=body, headers={"Content-Type": "text/xml"})


def ask_photos(call: Call, *users: str) -> requests.Response:
    parts = [{"id": str(n), "method": "GET", "url": f"/users/{user}/photo"} for n, user in enumerate(users)]
    return call("POST", f"{GRAPH}/$batch", json={"requests": parts})


def statuses(answer: requests.Response) -> list[int]:
    return sorted(part["status"] for part in answer.json()["responses"])


@pytest.fixture
def people(admin: TenantClient) -> list[str]:
    return admin.add(count=5, photo=True)


class TestSharePoint:
    def test_without_a_quota_nothing_is_throttled_and_everything_is_counted(self, call, admin) -> None:
        assert use_files(call, 30) == [200] * 30
        report = admin.quota()
        assert set(report["limits"].values()) == {None}
        assert (report["calls"]["all"], report["throttled"]["all"]) == (30, 0)
        assert report["used"]["sharepoint_units_per_minute"]["peak"] == 60

    def test_a_call_costs_two_units_and_over_the_limit_calls_are_refused_until_the_minute_ends(
        self, call, admin
    ) -> None:
        admin.limit(sharepoint_units_per_minute=10)
        assert use_files(call, 6) == [200] * 5 + [429]
        refused = call("POST", FILES, headers=JSON)
        assert 50 <= int(refused.headers["Retry-After"]) <= 60
        assert (refused.headers["RateLimit-Limit"], refused.headers["RateLimit-Remaining"]) == ("10", "0")
        admin.advance(int(refused.headers["Retry-After"]))
        assert use_files(call) == [200]

    def test_what_a_call_costs_is_a_knob(self, call, admin) -> None:
        admin.turn(sharepoint_units_per_call=5)
        admin.limit(sharepoint_units_per_minute=10)
        assert use_files(call, 3) == [200, 200, 429]

    def test_a_refused_call_takes_no_effect(self, call, admin, people) -> None:
        admin.limit(sharepoint_units_per_minute=1)
        assert process(call, 1).status_code == 429
        assert admin.user(people[0])["target"]["properties"]["SPS-PictureTimestamp"] == ""

    def test_files_and_profiles_share_the_units(self, call, admin) -> None:
        admin.limit(sharepoint_units_per_minute=4)
        assert use_files(call) == [200]
        assert read_profile(call).status_code == 200
        assert use_files(call) == [429]
        assert read_profile(call).status_code == 429

    def test_each_geo_has_units_of_its_own(self, call, admin) -> None:
        admin.add(geo="eur")
        admin.limit(sharepoint_units_per_minute=2)
        assert use_files(call, 2) == [200, 429]
        assert use_files(call, 2, FILES.replace("contoso", "contosoeur")) == [200, 429]
        assert use_files(call, 1, FILES.replace("-my", "-admin")) == [429]
        windows = admin.quota()["used"]["sharepoint_units_per_minute"]["windows"]
        assert [(window["geo"], window["used"]) for window in windows] == [("", 6), ("eur", 4)]


class TestPeopleManager:
    def test_over_their_limit_profiles_are_refused_for_five_minutes_and_not_files(self, call, admin) -> None:
        admin.limit(people_manager_calls_per_5_minutes=3, sharepoint_units_per_minute=10)
        assert [read_profile(call).status_code for _ in range(3)] == [200] * 3
        refused = read_profile(call)
        assert refused.status_code == 429
        assert 290 <= int(refused.headers["Retry-After"]) <= 300
        assert use_files(call) == [200]
        admin.advance(300)
        assert read_profile(call).status_code == 200

    def test_a_refusal_by_calls_has_no_headers_about_units(self, call, admin) -> None:
        admin.limit(people_manager_calls_per_5_minutes=1, sharepoint_units_per_minute=4)
        assert "RateLimit-Limit" not in read_profile(call).headers
        refused = read_profile(call)
        assert (refused.status_code, "RateLimit-Limit" in refused.headers) == (429, False)

    def test_over_both_limits_the_longer_wait_is_sent(self, call, admin) -> None:
        admin.limit(people_manager_calls_per_5_minutes=1, sharepoint_units_per_minute=2)
        read_profile(call)
        refused = read_profile(call)
        assert int(refused.headers["Retry-After"]) > 290
        assert int(refused.headers["RateLimit-Reset"]) <= 60

    @pytest.mark.parametrize(
        ("knob", "methods", "counted"), [("methods", 4, 4), ("one", 4, 1), ("methods", 0, 1)]
    )
    def test_by_knob_a_query_counts_its_methods_or_one(self, call, admin, knob, methods, counted) -> None:
        admin.add(upn="anna@contoso.com")
        admin.turn(process_query_counts=knob)
        admin.limit()
        process(call, methods)
        used = admin.quota()["used"]
        assert used["people_manager_calls_per_5_minutes"]["peak"] == counted
        assert used["sharepoint_units_per_minute"]["peak"] == 2

    @pytest.mark.parametrize(
        ("body", "methods"),
        [
            pytest.param(b'<Method Name="a"/><Method\nName="b">', 2, id="plain"),
            pytest.param(b'<q:Method Name="a"/></q:Method>', 1, id="with a prefix"),
            pytest.param(b"<MethodName/> &lt;Method Name", 0, id="what only looks like one"),
        ],
    )
    def test_methods_are_counted_however_they_are_spelled(self, body, methods) -> None:
        assert count_methods(body) == methods


class TestHeaders:
    def test_from_80_percent_on_every_answer_reports_what_is_left(self, call, admin) -> None:
        admin.limit(sharepoint_units_per_minute=20)
        answers = [call("POST", FILES, headers=JSON) for _ in range(11)]
        left = [answer.headers.get("RateLimit-Remaining") for answer in answers]
        assert left == [*[None] * 7, "4", "2", "0", "0"]
        told = answers[-2].headers
        assert (told["RateLimit-Limit"], answers[-2].status_code) == ("20", 200)
        assert 50 <= int(told["RateLimit-Reset"]) <= 60

    def test_by_knob_no_answer_reports_what_is_left(self, call, admin) -> None:
        admin.turn(rate_limit_headers="never")
        admin.limit(sharepoint_units_per_minute=2)
        for _ in range(2):
            answer = call("POST", FILES, headers=JSON)
            assert not [name for name in answer.headers if name.startswith("RateLimit")]
        assert (answer.status_code, "Retry-After" in answer.headers) == (429, True)

    @pytest.mark.parametrize(
        ("seconds", "integer", "decimal", "date"),
        [
            (30.0, "30", "30.000", "Sun, 01 Nov 2026 00:00:31 GMT"),
            (30.0004, "31", "30.001", "Sun, 01 Nov 2026 00:00:31 GMT"),
            (2.128, "3", "2.128", "Sun, 01 Nov 2026 00:00:03 GMT"),
        ],
    )
    def test_a_wait_is_never_rounded_down(self, seconds, integer, decimal, date) -> None:
        now = datetime(2026, 11, 1, 0, 0, 0, 500_000, UTC)
        assert refusals.retry_after(seconds, "integer", now) == {"Retry-After": integer}
        assert refusals.retry_after(seconds, "decimal", now) == {"Retry-After": decimal}
        assert refusals.retry_after(seconds, "date", now) == {"Retry-After": date}
        assert refusals.retry_after(seconds, "absent", now) == {}


class TestPhotos:
    def test_the_parts_over_the_limit_are_refused_each_by_itself(self, call, admin, people, tenant) -> None:
        admin.limit(graph_photos_per_10_seconds=3)
        answer = ask_photos(call, *people)
        assert (answer.status_code, statuses(answer)) == (200, [200, 200, 200, 429, 429])
        refused = next(part for part in answer.json()["responses"] if part["status"] == 429)
        assert 5 <= int(refused["headers"]["Retry-After"]) <= 10
        scope = f"Tenant_Application/ReadWrite/{tenant.world.client_id}/{tenant.world.tenant_id}"
        assert refused["headers"]["x-ms-throttle-scope"] == scope
        assert refused["headers"]["x-ms-throttle-information"] == "ResourceUnitLimitExceeded"
        assert refused["body"]["error"]["code"] == "TooManyRequests"
        assert refused["body"]["error"]["innerError"]["code"] == "429"

    def test_other_parts_and_requests_cost_nothing(self, call, admin, people) -> None:
        admin.limit(graph_photos_per_10_seconds=1)
        urls = [f"/users/{people[0]}", "/users", f"/users/{people[0]}/photo"]
        parts = [{"id": url, "method": "GET", "url": url} for url in urls]
        assert statuses(call("POST", f"{GRAPH}/$batch", json={"requests": parts})) == [200] * 3
        assert call("GET", f"{GRAPH}/users/{people[0]}").status_code == 200
        assert call("GET", f"{GRAPH}/users/{people[0]}/photo/$value").status_code == 429

    @pytest.mark.parametrize("tail", ["photo", "photo/$value", "photos", "photos/48x48/$value", "photo?x=1"])
    def test_every_request_for_a_photo_counts_alone_too(self, call, admin, people, tail) -> None:
        admin.limit(graph_photos_per_10_seconds=1)
        statuses(ask_photos(call, people[0]))
        refused = call("GET", f"{GRAPH}/users/{people[1]}/{tail}")
        assert (refused.status_code, refused.json()["error"]["code"]) == (429, "TooManyRequests")
        assert 5 <= int(refused.headers["Retry-After"]) <= 10

    def test_a_part_that_never_ran_costs_nothing(self, call, admin, people) -> None:
        admin.limit()
        parts = [
            {"id": "1", "method": "GET", "url": "/users/absent"},
            {"id": "2", "method": "GET", "url": f"/users/{people[0]}/photo", "dependsOn": ["1"]},
        ]
        assert statuses(call("POST", f"{GRAPH}/$batch", json={"requests": parts})) == [404, 424]
        assert admin.quota()["calls"]["all"] == 0

    def test_faults_of_parts_go_on_beside_a_quota(self, call, admin, people) -> None:
        admin.limit(graph_photos_per_10_seconds=2)
        admin.arm({"part": True, "status": 503, "next": 1})
        assert statuses(ask_photos(call, *people[:3])) == [200, 429, 503]


class TestEarlyReturns:
    def test_a_request_before_the_time_on_the_tenants_clock_is_recorded(self, call, admin) -> None:
        admin.limit(sharepoint_units_per_minute=2)
        use_files(call, 2)
        admin.advance(30)
        use_files(call)
        (early,) = admin.faults()["early_return"]
        assert early["service"] == "sharepoint-files@contoso-my.sharepoint.com"
        assert 20 < early["seconds_too_early"] <= 30
        read_profile(call)
        admin.disarm()
        assert admin.faults()["early_return"] == []

    @pytest.mark.parametrize(
        ("tail", "status", "early"),
        [("/photo", 429, ["graph-photos"]), ("/photo", 503, []), ("", 429, ["graph"])],
    )
    def test_a_part_with_a_fault_makes_its_mailbox_or_graph_wait(
        self, call, admin, people, tail, status, early
    ) -> None:
        admin.arm({"part": True, "next": 1, "status": status, "headers": {"retry-AFTER": "600"}})
        batch = {"requests": [{"id": "1", "method": "GET", "url": f"/users/{people[0]}{tail}"}]}
        call("POST", f"{GRAPH}/$batch", json=batch)
        admin.advance(300)
        ask_photos(call, people[0], people[1])
        found = [each["service"].partition("/") for each in admin.faults()["early_return"]]
        assert [service for service, _, _ in found] == early
        assert {mailbox for _, _, mailbox in found} <= {people[0], ""}

    def test_a_quota_makes_only_its_own_service_wait(self, call, admin, people) -> None:
        admin.limit(graph_photos_per_10_seconds=1, people_manager_calls_per_5_minutes=1)
        ask_photos(call, *people[:2])
        assert [read_profile(call).status_code for _ in range(2)] == [200, 429]
        admin.advance(4)
        call("GET", f"{GRAPH}/users")
        assert use_files(call) == [200]
        ask_photos(call, people[2])
        assert admin.faults()["early_return"] == []
        ask_photos(call, *people[:2])  # either of them was refused: parts run in any order
        (early,) = admin.faults()["early_return"]
        mailbox = early["service"].removeprefix("graph-photos/")
        assert (mailbox in people[:2], early["path"]) == (True, f"/users/{mailbox}/photo")


class TestReport:
    def test_the_report_has_calls_refusals_windows_and_the_peak(self, call, admin) -> None:
        admin.limit(sharepoint_units_per_minute=6)
        use_files(call, 4)
        read_profile(call)
        admin.advance(180)
        use_files(call, 2)
        report = admin.quota()
        assert report["limits"] == {
            "sharepoint_units_per_minute": 6,
            "people_manager_calls_per_5_minutes": None,
            "graph_photos_per_10_seconds": None,
        }
        assert report["calls"] == {"all": 7, "sharepoint-files": 6, "sharepoint-profiles": 1}
        assert report["throttled"] == {"all": 2, "sharepoint-files": 1, "sharepoint-profiles": 1}
        units = report["used"]["sharepoint_units_per_minute"]
        assert units["peak"] == 10
        shown = [(w["used"], w["owed"], w["calls"], w["throttled"]) for w in units["windows"]]
        assert shown == [(10, 0, 5, 2), (4, 0, 2, 0)]

    def test_a_refusal_by_quota_is_in_the_history_as_such(self, call, admin) -> None:
        admin.limit(sharepoint_units_per_minute=2)
        use_files(call, 2)
        assert [(each["status"], each["fault"]) for each in admin.history()] == [(200, ""), (429, "quota")]

    def test_a_call_with_a_fault_counts(self, call, admin) -> None:
        admin.limit(sharepoint_units_per_minute=4)
        admin.arm({"service": "sharepoint", "status": 503, "next": 1})
        assert use_files(call, 3) == [503, 200, 429]

    def test_new_limits_count_from_zero_and_a_reset_takes_them_away(self, call, admin) -> None:
        admin.limit(sharepoint_units_per_minute=2)
        assert use_files(call, 2) == [200, 429]
        assert admin.limit(sharepoint_units_per_minute=2)["calls"] == {"all": 0}
        assert use_files(call, 2) == [200, 429]
        admin.reset()
        assert use_files(call, 2) == [200, 200]
        assert set(admin.quota()["limits"].values()) == {None}

    def test_an_invalid_limit_is_refused_and_the_old_ones_stay(self, admin) -> None:
        admin.limit(sharepoint_units_per_minute=7)
        with pytest.raises(AdminError, match="at least 1"):
            admin.limit(graph_photos_per_10_seconds=0)
        assert admin.quota()["limits"]["sharepoint_units_per_minute"] == 7
