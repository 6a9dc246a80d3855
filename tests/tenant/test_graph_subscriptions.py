"""Subscriptions: their rules, their life, their loss."""

import pytest

from tests.tenant.graph_client import GraphClient, Webhook


@pytest.fixture(scope="module")
def shared_client() -> GraphClient:
    return GraphClient()


@pytest.fixture
def client(shared_client: GraphClient) -> GraphClient:
    return shared_client.clear()


@pytest.fixture(scope="module")
def webhook():
    with Webhook() as webhook:
        yield webhook


def refusal(answer) -> tuple[int, str]:
    return answer.status_code, answer.get_json()["error"]["message"]


def test_a_creation_answers_the_whole_resource_nulls_included(client: GraphClient, webhook: Webhook) -> None:
    creation = client.creation(webhook.url, lifecycleNotificationUrl=f"{webhook.url}/life")
    created = client.call("POST", "/subscriptions", creation)
    assert created.status_code == 201
    body = created.get_json()
    assert len(body.pop("id")) == 36
    assert body == {
        "@odata.context": "https://graph.microsoft.com/v1.0/$metadata#subscriptions/$entity",
        "resource": "users",
        "applicationId": client.world.client_id,
        "changeType": "updated,deleted",
        "clientState": "a secret",
        "notificationUrl": webhook.url,
        "notificationQueryOptions": None,
        "lifecycleNotificationUrl": f"{webhook.url}/life",
        "expirationDateTime": creation["expirationDateTime"],
        "creatorId": client.world.service_principal_id,
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
        pytest.param(
            {"expirationDateTime": ...}, "expirationDateTime is a required property", id="no expiry"
        ),
        pytest.param({"changeType": ...}, "changeType is a required property", id="no change type"),
        pytest.param({"resource": None}, "resource is a required property", id="a null resource"),
        pytest.param({"notificationUrl": ...}, "notificationUrl is a required property", id="no URL"),
        pytest.param({"expirationDateTime": "2026-11-30T10:00:00"}, UNREADABLE, id="a time without a zone"),
        pytest.param({"expirationDateTime": "tomorrow"}, UNREADABLE, id="no time"),
        pytest.param({"expirationDateTime": 7}, UNREADABLE, id="a number"),
        pytest.param({"ClientState": "x"}, UNREADABLE, id="a property in the wrong case"),
        pytest.param({"colour": "red"}, UNREADABLE, id="an unknown property"),
        pytest.param(
            {"changeType": "created"}, "Invalid 'changeType' attribute: 'created'.", id="created alone"
        ),
        pytest.param({"changeType": "updated, deleted"}, "Invalid 'changeType'", id="a blank in the list"),
        pytest.param({"changeType": "updated,updated"}, "Invalid 'changeType'", id="the same twice"),
        pytest.param({"changeType": ""}, "Invalid 'changeType'", id="an empty change type"),
        pytest.param({"clientState": "x" * 129}, "must not exceed 128 characters", id="a long client state"),
        pytest.param({"notificationUrl": "ftp://127.0.0.1/"}, "absolute HTTPS URL", id="no http"),
        pytest.param({"notificationUrl": "https://127.0.0.1/#x"}, "absolute HTTPS URL", id="a fragment"),
        pytest.param({"notificationUrl": "https:///path"}, "absolute HTTPS URL", id="no host"),
        pytest.param({"notificationUrl": "https://a:b/"}, "absolute HTTPS URL", id="no port"),
        pytest.param({"lifecycleNotificationUrl": "/relative"}, "absolute HTTPS URL", id="lifecycle URL"),
        pytest.param({"resource": "groups"}, "is not supported", id="groups"),
        pytest.param({"resource": "users?$select=photo"}, "is not supported", id="a query"),
        pytest.param(
            {"latestSupportedTlsVersion": "v1_4"}, "latestSupportedTlsVersion", id="a TLS of the future"
        ),
        pytest.param(
            {"includeResourceData": True}, "not supported for this resource", id="rich notifications"
        ),
        pytest.param({"vapidPublicKey": "x"}, "not supported for this resource", id="Web Push"),
    ],
)
def test_a_payload_that_breaks_a_rule_is_400(
    client: GraphClient, webhook: Webhook, changes, message: str
) -> None:
    status, said = refusal(client.call("POST", "/subscriptions", client.creation(webhook.url, **changes)))
    assert status == 400
    assert message in said
    assert client.graph.subscriptions() == []


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"resource": "/users"}, id="a leading slash"),
        pytest.param({"resource": "Users"}, id="a capital"),
        pytest.param({"resource": "users/00000000-0000-0000-0000-000000000000"}, id="one user"),
        pytest.param({"resource": "users/x/memberOf"}, id="what is never notified of"),
        pytest.param({"changeType": "created,updated"}, id="created in a list"),
        pytest.param({"clientState": "x" * 128}, id="the longest client state"),
        pytest.param({"clientState": ...}, id="no client state"),
        pytest.param({"latestSupportedTlsVersion": "v1_3"}, id="a TLS version"),
        pytest.param(
            {"lifecycleNotificationUrl": None, "includeResourceData": False}, id="nothing, said aloud"
        ),
    ],
)
def test_payloads_that_graph_was_observed_to_accept_are_accepted(
    client: GraphClient, webhook: Webhook, changes
) -> None:
    created = client.subscribe(webhook, **changes)
    for name, value in changes.items():
        assert created[name] == (None if value in (..., False) else value)


def test_created_in_a_list_is_refused_by_knob(client: GraphClient, webhook: Webhook) -> None:
    client.world.knobs.created_in_list = False
    creation = client.creation(webhook.url, changeType="created,updated")
    assert client.call("POST", "/subscriptions", creation).status_code == 400


def test_http_is_refused_unless_the_tenant_allows_it(webhook: Webhook) -> None:
    client = GraphClient(allow_http=False)
    status, said = refusal(client.call("POST", "/subscriptions", client.creation(webhook.url)))
    assert (status, said) == (400, "The notificationUrl must be an absolute HTTPS URL.")


@pytest.mark.parametrize("minutes", [-100, 0, 44])
def test_an_expiry_nearer_than_45_minutes_is_raised_to_45(
    client: GraphClient, webhook: Webhook, minutes: float
) -> None:
    before = client.in_minutes(45)
    created = client.subscribe(webhook, expirationDateTime=client.in_minutes(minutes))
    assert before <= created["expirationDateTime"] <= client.in_minutes(45)
    later = client.in_minutes(45)
    path = f"/subscriptions/{created['id']}"
    renewed = client.call("PATCH", path, {"expirationDateTime": client.in_minutes(minutes)}).get_json()
    assert later <= renewed["expirationDateTime"] <= client.in_minutes(45)


def test_an_expiry_may_have_any_zone(client: GraphClient, webhook: Webhook) -> None:
    utc = client.in_minutes(600)[:19]
    created = client.subscribe(webhook, expirationDateTime=f"{utc}+02:00")
    hour = (int(utc[11:13]) - 2) % 24
    assert created["expirationDateTime"][11:] == f"{hour:02d}{utc[13:]}Z"


def test_an_expiry_beyond_the_maximum_is_400_on_creation_and_renewal(
    client: GraphClient, webhook: Webhook
) -> None:
    text = "Subscription expiration can only be 41760 minutes in the future."
    too_far = {"expirationDateTime": client.in_minutes(41_761)}
    assert refusal(client.call("POST", "/subscriptions", client.creation(webhook.url, **too_far))) == (
        400,
        text,
    )
    created = client.subscribe(webhook, expirationDateTime=client.in_minutes(41_759))
    answer = client.call("PATCH", f"/subscriptions/{created['id']}", too_far)
    assert refusal(answer) == (400, text)
    assert answer.get_json()["error"]["code"] == "ExtensionError"


def test_by_knob_an_expiry_beyond_the_maximum_is_lowered_to_it(client: GraphClient, webhook: Webhook) -> None:
    client.world.knobs.over_max_expiry = "clamped"
    created = client.subscribe(webhook, expirationDateTime=client.in_minutes(50_000))
    assert client.in_minutes(41_759) < created["expirationDateTime"] <= client.in_minutes(41_760)


def test_an_expired_subscription_is_gone(client: GraphClient, webhook: Webhook) -> None:
    created = client.subscribe(webhook, expirationDateTime=client.in_minutes(60))
    path = f"/subscriptions/{created['id']}"
    client.world.clock.advance(59 * 60)
    assert client.get(path).status_code == 200
    client.world.clock.advance(61)
    assert client.graph.subscriptions() == []
    renewal = client.call("PATCH", path, {"expirationDateTime": client.in_minutes(60)})
    assert refusal(renewal) == (404, "The object was not found.")
    assert client.subscribe(webhook)["id"] != created["id"]


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({}, id="the same again"),
        pytest.param({"notificationUrl": "elsewhere"}, id="another URL"),
        pytest.param({"changeType": "deleted,updated"}, id="another order"),
        pytest.param({"resource": "/Users"}, id="another spelling"),
        pytest.param({"clientState": "new"}, id="another client state"),
    ],
)
def test_the_same_combination_twice_is_409(client: GraphClient, webhook: Webhook, changes) -> None:
    first = client.subscribe(webhook)
    if "notificationUrl" in changes:
        changes = {"notificationUrl": f"{webhook.url}/elsewhere"}
    answer = client.call("POST", "/subscriptions", client.creation(webhook.url, **changes))
    said = f"Subscription Id <{first['id']}> already exists for the requested combination"
    assert refusal(answer) == (409, said)


def test_other_change_types_and_other_applications_do_not_collide(
    client: GraphClient, webhook: Webhook
) -> None:
    mine, client.world.client_id = client.world.client_id, "another application"
    theirs = client.subscribe(webhook)
    client.world.client_id = mine
    first, second = client.subscribe(webhook), client.subscribe(webhook, changeType="updated")
    assert {each["id"] for each in client.graph.subscriptions()} == {theirs["id"], first["id"], second["id"]}
    for method, body in (("GET", None), ("DELETE", None), ("PATCH", {"notificationUrl": webhook.url})):
        assert client.call(method, f"/subscriptions/{theirs['id']}", body).status_code == 404


def test_the_hundred_and_first_subscription_is_403_and_says_why(
    client: GraphClient, webhook: Webhook
) -> None:
    for n in range(100):
        client.subscribe(webhook, resource=f"users/{n}")
    status, said = refusal(client.call("POST", "/subscriptions", client.creation(webhook.url)))
    assert status == 403
    assert f"App '{client.world.client_id}' has reached its limit of '100'" in said
    gone = client.graph.subscriptions()[0]["id"]
    assert client.call("DELETE", f"/subscriptions/{gone}").status_code == 204
    client.subscribe(webhook)


def test_listing_hides_the_client_state_and_comes_in_pages(client: GraphClient, webhook: Webhook) -> None:
    wanted = [
        client.subscribe(webhook, changeType=kind)["id"] for kind in ("updated", "deleted", "updated,deleted")
    ]
    client.world.knobs.subscriptions_per_page = 2
    page = client.get("/subscriptions").get_json()
    assert page["@odata.context"] == "https://graph.microsoft.com/v1.0/$metadata#subscriptions"
    rest = client.follow(page["@odata.nextLink"]).get_json()
    assert "@odata.nextLink" not in rest
    seen = page["value"] + rest["value"]
    assert [each["id"] for each in seen] == wanted
    assert {each["clientState"] for each in seen} == {None}


def test_by_default_every_page_of_subscriptions_holds_one(client: GraphClient, webhook: Webhook) -> None:
    assert client.get("/subscriptions").get_json()["value"] == []
    client.subscribe(webhook)
    page = client.get("/subscriptions").get_json()
    assert (len(page["value"]), "@odata.nextLink" in page) == (1, False)
    client.subscribe(webhook, changeType="updated")
    page = client.get("/subscriptions").get_json()
    assert (len(page["value"]), "@odata.nextLink" in page) == (1, True)


@pytest.mark.parametrize(
    "query", ["$top=5", "$filter=resource eq 'users'", "$select=id", "$skiptoken=made-up"]
)
def test_listing_takes_no_query_parameters(client: GraphClient, query: str) -> None:
    assert client.get(f"/subscriptions?{query}").status_code == 400


def test_reading_one_hides_the_client_state(client: GraphClient, webhook: Webhook) -> None:
    created = client.subscribe(webhook)
    body = client.get(f"/subscriptions/{created['id'].upper()}").get_json()
    assert body == created | {"clientState": None}
    assert client.graph.subscriptions()[0]["clientState"] == "a secret"


def test_a_renewal_changes_expiry_and_url_and_nothing_else(client: GraphClient, webhook: Webhook) -> None:
    created = client.subscribe(webhook)
    changes = {"expirationDateTime": client.in_minutes(3000), "notificationUrl": f"{webhook.url}/new"}
    renewed = client.call("PATCH", f"/subscriptions/{created['id']}", changes)
    assert renewed.status_code == 200
    assert renewed.get_json() == created | changes | {"clientState": None}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        pytest.param({}, "must contain either the 'expirationDateTime' or 'notificationUrl'", id="nothing"),
        pytest.param({"clientState": "new"}, "must contain either", id="only what is fixed"),
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
def test_a_renewal_that_breaks_a_rule_is_400(
    client: GraphClient, webhook: Webhook, body, message: str
) -> None:
    created = client.subscribe(webhook)
    status, said = refusal(client.call("PATCH", f"/subscriptions/{created['id']}", body))
    assert status == 400
    assert message in said


def test_a_deleted_subscription_is_404_for_everything(client: GraphClient, webhook: Webhook) -> None:
    path = f"/subscriptions/{client.subscribe(webhook)['id']}"
    deleted = client.call("DELETE", path)
    assert (deleted.status_code, deleted.data) == (204, b"")
    for method, target, body in (
        ("GET", path, None),
        ("DELETE", path, None),
        ("PATCH", path, {}),  # gone counts before what is wrong with the body
        ("POST", f"{path}/reauthorize", None),
    ):
        answer = client.call(method, target, body, Content_Type="application/json")
        assert refusal(answer) == (404, "The object was not found."), method


@pytest.mark.parametrize("status", [403, 409])
def test_a_lost_subscription_answers_404_and_creation_is_refused_for_a_while(
    client: GraphClient, webhook: Webhook, status: int
) -> None:
    client.world.knobs.lost_refusal = status
    lost = client.subscribe(webhook)["id"]
    client.graph.lose(lost)
    assert client.get("/subscriptions").get_json()["value"] == []
    for method in ("GET", "PATCH", "DELETE"):
        body = {"expirationDateTime": client.in_minutes(60)} if method == "PATCH" else None
        assert client.call(method, f"/subscriptions/{lost}", body).status_code == 404
    assert client.call("POST", "/subscriptions", client.creation(webhook.url)).status_code == status
    client.world.clock.advance(client.world.knobs.lost_refusal_seconds - 1)
    assert client.call("POST", "/subscriptions", client.creation(webhook.url)).status_code == status
    client.world.clock.advance(2)
    client.subscribe(webhook)


def test_an_unknown_subscription_cannot_be_lost_or_reauthorized(client: GraphClient) -> None:
    for play in (client.graph.lose, client.graph.reauthorize):
        with pytest.raises(KeyError):
            play("nothing")


def test_a_reset_forgets_subscriptions_and_losses(client: GraphClient, webhook: Webhook) -> None:
    client.graph.lose(client.subscribe(webhook)["id"])
    client.clear()
    client.subscribe(webhook)
    client.clear()
    assert client.graph.subscriptions() == []
