"""Subscriptions: their rules, their life, their loss."""

import pytest

from tests.tenant.graph_client import GraphClient


def refusal(answer) -> tuple[int, str]:
    return answer.status_code, answer.get_json()["error"]["message"]


def test_a_creation_answers_the_whole_resource_nulls_included(graph, webhook) -> None:
    creation = graph.creation(webhook.url, lifecycleNotificationUrl=f"{webhook.url}/life")
    created = graph.call("POST", "/subscriptions", creation)
    assert created.status_code == 201
    body = created.get_json()
    assert len(body.pop("id")) == 36
    assert body == {
        "@odata.context": "https://graph.microsoft.com/v1.0/$metadata#subscriptions/$entity",
        "resource": "users",
        "applicationId": graph.world.client_id,
        "changeType": "updated,deleted",
        "clientState": "a secret",
        "notificationUrl": webhook.url,
        "notificationQueryOptions": None,
        "lifecycleNotificationUrl": f"{webhook.url}/life",
        "expirationDateTime": creation["expirationDateTime"],
        "creatorId": graph.world.service_principal_id,
        "includeResourceData": None,
        "latestSupportedTlsVersion": "v1_2",
        "encryptionCertificate": None,
        "encryptionCertificateId": None,
        "notificationUrlAppId": None,
    }


UNREADABLE = "Could not process subscription creation payload."


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        pytest.param({"expirationDateTime": ...}, "expirationDateTime is a required", id="no expiry"),
        pytest.param({"resource": None}, "resource is a required property", id="a null resource"),
        pytest.param({"notificationUrl": ...}, "notificationUrl is a required property", id="no URL"),
        pytest.param({"expirationDateTime": "2026-11-30T10:00:00"}, UNREADABLE, id="a time without a zone"),
        pytest.param({"expirationDateTime": "tomorrow"}, UNREADABLE, id="no time"),
        pytest.param({"ClientState": "x"}, UNREADABLE, id="a property in the wrong case"),
        pytest.param({"colour": "red"}, UNREADABLE, id="an unknown property"),
        pytest.param({"changeType": "created"}, "Invalid 'changeType' attribute: 'c", id="created alone"),
        pytest.param({"changeType": "updated, deleted"}, "Invalid 'changeType'", id="a blank in the list"),
        pytest.param({"changeType": "updated,updated"}, "Invalid 'changeType'", id="the same twice"),
        pytest.param({"clientState": "x" * 129}, "must not exceed 128 characters", id="a long client state"),
        pytest.param({"notificationUrl": "ftp://127.0.0.1/"}, "absolute HTTPS URL", id="no http"),
        pytest.param({"notificationUrl": "https://127.0.0.1/#x"}, "absolute HTTPS URL", id="a fragment"),
        pytest.param({"notificationUrl": "https:///path"}, "absolute HTTPS URL", id="no host"),
        pytest.param({"notificationUrl": "https://a:b/"}, "absolute HTTPS URL", id="no port"),
        pytest.param({"lifecycleNotificationUrl": "/relative"}, "absolute HTTPS URL", id="lifecycle URL"),
        pytest.param({"resource": "groups"}, "is not supported", id="groups"),
        pytest.param({"resource": "users?$select=photo"}, "is not supported", id="a query"),
        pytest.param({"latestSupportedTlsVersion": "v1_4"}, "latestSupportedTls", id="a TLS of the future"),
        pytest.param({"includeResourceData": True}, "not supported for this", id="rich notifications"),
    ],
)
def test_a_payload_that_breaks_a_rule_is_400(graph, webhook, changes, message) -> None:
    status, said = refusal(graph.call("POST", "/subscriptions", graph.creation(webhook.url, **changes)))
    assert status == 400
    assert message in said
    assert graph.service.subscriptions() == []


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"resource": "/users"}, id="a leading slash"),
        pytest.param({"resource": "users/00000000-0000-0000-0000-000000000000"}, id="one user"),
        pytest.param({"resource": "users/x/memberOf"}, id="what is never notified of"),
        pytest.param({"changeType": "created,updated"}, id="created in a list"),
        pytest.param({"clientState": "x" * 128}, id="the longest client state"),
        pytest.param({"clientState": ...}, id="no client state"),
        pytest.param({"latestSupportedTlsVersion": "v1_3"}, id="a TLS version"),
        pytest.param({"lifecycleNotificationUrl": None, "includeResourceData": False}, id="explicit nulls"),
    ],
)
def test_payloads_that_graph_was_observed_to_accept_are_accepted(graph, webhook, changes) -> None:
    created = graph.subscribe(webhook, **changes)
    for name, value in changes.items():
        assert created[name] == (None if value in (..., False) else value)


def test_created_in_a_list_is_refused_by_knob(graph, webhook) -> None:
    graph.world.knobs.created_in_list = False
    creation = graph.creation(webhook.url, changeType="created,updated")
    assert graph.call("POST", "/subscriptions", creation).status_code == 400


def test_http_is_refused_unless_the_tenant_allows_it(webhook) -> None:
    graph = GraphClient(allow_http=False)
    status, said = refusal(graph.call("POST", "/subscriptions", graph.creation(webhook.url)))
    assert (status, said) == (400, "The notificationUrl must be an absolute HTTPS URL.")


@pytest.mark.parametrize("minutes", [-100, 0, 44])
def test_an_expiry_nearer_than_45_minutes_is_raised_to_45(graph, webhook, minutes) -> None:
    before = graph.in_minutes(45)
    created = graph.subscribe(webhook, expirationDateTime=graph.in_minutes(minutes))
    assert before <= created["expirationDateTime"] <= graph.in_minutes(45)
    later = graph.in_minutes(45)
    path = f"/subscriptions/{created['id']}"
    renewed = graph.call("PATCH", path, {"expirationDateTime": graph.in_minutes(minutes)}).get_json()
    assert later <= renewed["expirationDateTime"] <= graph.in_minutes(45)


def test_an_expiry_may_have_any_zone(graph, webhook) -> None:
    utc = graph.in_minutes(600)[:19]
    created = graph.subscribe(webhook, expirationDateTime=f"{utc}+02:00")
    hour = (int(utc[11:13]) - 2) % 24
    assert created["expirationDateTime"][11:] == f"{hour:02d}{utc[13:]}Z"


def test_an_expiry_beyond_the_maximum_is_400_on_creation_and_renewal(graph, webhook) -> None:
    text = "Subscription expiration can only be 41760 minutes in the future."
    too_far = {"expirationDateTime": graph.in_minutes(41_761)}
    answer = graph.call("POST", "/subscriptions", graph.creation(webhook.url, **too_far))
    assert refusal(answer) == (400, text)
    created = graph.subscribe(webhook, expirationDateTime=graph.in_minutes(41_759))
    answer = graph.call("PATCH", f"/subscriptions/{created['id']}", too_far)
    assert refusal(answer) == (400, text)
    assert answer.get_json()["error"]["code"] == "ExtensionError"


def test_by_knob_an_expiry_beyond_the_maximum_is_lowered_to_it(graph, webhook) -> None:
    graph.world.knobs.over_max_expiry = "clamped"
    created = graph.subscribe(webhook, expirationDateTime=graph.in_minutes(50_000))
    assert graph.in_minutes(41_759) < created["expirationDateTime"] <= graph.in_minutes(41_760)


def test_an_expired_subscription_is_gone(graph, webhook) -> None:
    created = graph.subscribe(webhook, expirationDateTime=graph.in_minutes(60))
    path = f"/subscriptions/{created['id']}"
    graph.world.clock.advance(59 * 60)
    assert len(graph.service.subscriptions()) == 1
    graph.world.clock.advance(61)
    assert graph.service.subscriptions() == []
    renewal = graph.call("PATCH", path, {"expirationDateTime": graph.in_minutes(60)})
    assert refusal(renewal) == (404, "The object was not found.")
    assert graph.subscribe(webhook)["id"] != created["id"]


@pytest.mark.parametrize("changes", [{}, {"resource": "/Users"}], ids=["another URL", "another spelling"])
def test_the_same_combination_twice_is_409(graph, webhook, changes) -> None:
    first = graph.subscribe(webhook)
    answer = graph.call("POST", "/subscriptions", graph.creation(f"{webhook.url}/elsewhere", **changes))
    said = f"Subscription Id <{first['id']}> already exists for the requested combination"
    assert refusal(answer) == (409, said)


def test_other_change_types_and_other_applications_do_not_collide(graph, webhook) -> None:
    mine, graph.world.client_id = graph.world.client_id, "another application"
    theirs = graph.subscribe(webhook)
    graph.world.client_id = mine
    first, second = graph.subscribe(webhook), graph.subscribe(webhook, changeType="updated")
    assert {each["id"] for each in graph.service.subscriptions()} == {theirs["id"], first["id"], second["id"]}
    for method, body in (("DELETE", None), ("PATCH", {"notificationUrl": webhook.url})):
        assert graph.call(method, f"/subscriptions/{theirs['id']}", body).status_code == 404


def test_the_hundred_and_first_subscription_is_403_and_says_why(graph, webhook) -> None:
    for n in range(100):
        graph.subscribe(webhook, resource=f"users/{n}")
    status, said = refusal(graph.call("POST", "/subscriptions", graph.creation(webhook.url)))
    assert status == 403
    assert f"App '{graph.world.client_id}' has reached its limit of '100'" in said
    gone = graph.service.subscriptions()[0]["id"]
    assert graph.call("DELETE", f"/subscriptions/{gone}").status_code == 204
    graph.subscribe(webhook)


def test_listing_hides_the_client_state_and_comes_in_pages(graph, webhook) -> None:
    kinds = ("updated", "deleted", "updated,deleted")
    wanted = [graph.subscribe(webhook, changeType=kind)["id"] for kind in kinds]
    assert len(graph.get("/subscriptions").get_json()["value"]) == 1  # the default
    graph.world.knobs.subscriptions_per_page = 2
    page = graph.get("/subscriptions").get_json()
    assert page["@odata.context"] == "https://graph.microsoft.com/v1.0/$metadata#subscriptions"
    rest = graph.follow(page["@odata.nextLink"]).get_json()
    assert "@odata.nextLink" not in rest
    seen = page["value"] + rest["value"]
    assert [each["id"] for each in seen] == wanted
    assert {each["clientState"] for each in seen} == {None}


@pytest.mark.parametrize(
    "query", ["$top=5", "$filter=resource eq 'users'", "$select=id", "$skiptoken=made-up"]
)
def test_listing_takes_no_query_parameters(graph, query) -> None:
    assert graph.get(f"/subscriptions?{query}").status_code == 400


def test_a_renewal_changes_expiry_and_url_and_nothing_else(graph, webhook) -> None:
    created = graph.subscribe(webhook)
    changes = {"expirationDateTime": graph.in_minutes(3000), "notificationUrl": f"{webhook.url}/new"}
    renewed = graph.call("PATCH", f"/subscriptions/{created['id']}", changes)
    assert renewed.status_code == 200
    assert renewed.get_json() == created | changes | {"clientState": None}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        pytest.param({}, "must contain either the 'expirationDateTime' or 'notificationUrl'", id="nothing"),
        pytest.param({"expirationDateTime": None}, "must contain either", id="null"),
        pytest.param(
            {"expirationDateTime": "2026-11-30T10:00:00Z", "lifecycleNotificationUrl": "https://a/"},
            "'lifecycleNotificationUrl' of a subscription cannot be updated",
            id="a lifecycle URL, later",
        ),
        pytest.param({"expirationDateTime": "soon"}, UNREADABLE, id="no time"),
        pytest.param({"notificationUrl": "nowhere"}, "absolute HTTPS URL", id="no URL"),
        pytest.param({"colour": "red"}, UNREADABLE, id="an unknown property"),
    ],
)
def test_a_renewal_that_breaks_a_rule_is_400(graph, webhook, body, message) -> None:
    created = graph.subscribe(webhook)
    status, said = refusal(graph.call("PATCH", f"/subscriptions/{created['id']}", body))
    assert status == 400
    assert message in said


def test_a_deleted_subscription_is_404_for_everything(graph, webhook) -> None:
    path = f"/subscriptions/{graph.subscribe(webhook)['id']}"
    deleted = graph.call("DELETE", path)
    assert (deleted.status_code, deleted.data) == (204, b"")
    for method, target, body in (
        ("DELETE", path, None),
        ("PATCH", path, {}),  # gone counts before what is wrong with the body
        ("POST", f"{path}/reauthorize", None),
    ):
        answer = graph.call(method, target, body, Content_Type="application/json")
        assert refusal(answer) == (404, "The object was not found."), method


@pytest.mark.parametrize("status", [403, 409])
def test_a_lost_subscription_answers_404_and_creation_is_refused_for_a_while(graph, webhook, status) -> None:
    graph.world.knobs.lost_refusal = status
    lost = graph.subscribe(webhook)["id"]
    graph.service.lose(lost)
    assert graph.get("/subscriptions").get_json()["value"] == []
    for method, body in (("PATCH", {"expirationDateTime": graph.in_minutes(60)}), ("DELETE", None)):
        assert graph.call(method, f"/subscriptions/{lost}", body).status_code == 404
    assert graph.call("POST", "/subscriptions", graph.creation(webhook.url)).status_code == status
    graph.world.clock.advance(graph.world.knobs.lost_refusal_seconds - 1)
    assert graph.call("POST", "/subscriptions", graph.creation(webhook.url)).status_code == status
    graph.world.clock.advance(2)
    graph.subscribe(webhook)


def test_a_reset_forgets_subscriptions_and_losses(graph, webhook) -> None:
    graph.service.lose(graph.subscribe(webhook)["id"])
    graph.clear()
    graph.subscribe(webhook)
    graph.clear()
    assert graph.service.subscriptions() == []
