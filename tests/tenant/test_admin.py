"""The admin face: how tests, the demo and people play administrator, Exchange user and SharePoint reader."""

import hashlib
import io
import json
from datetime import datetime

import pytest
from PIL import Image

from local.tenant.admin.client import AdminError, TenantClient
from local.tenant.directory import portraits
from local.tenant.directory.exchange import MAX_BYTES
from local.tenant.tenant import Tenant

GRAPH = "https://graph.microsoft.com/v1.0"


def picture(kind: str = "JPEG", size: tuple[int, int] = (648, 648)) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", size, (200, 30, 30)).save(stream, kind)
    return stream.getvalue()


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def anna(admin: TenantClient) -> str:
    """The id of a user with a drawn portrait."""
    (anna,) = admin.add(upn="anna@contoso.com", name="Anna Berg", photo=True)
    return anna


class TestPeople:
    def test_a_new_user_is_in_the_directory_and_has_a_profile(self, call, admin) -> None:
        (anna,) = admin.add(upn="Anna@contoso.com", name="Anna Berg")
        in_graph = call("GET", f"{GRAPH}/users/anna@contoso.com?$select=id,displayName").json()
        assert (in_graph["id"], in_graph["displayName"]) == (anna, "Anna Berg")
        seen = admin.user(anna)
        assert seen["source"] is None
        assert seen["target"]["account"] == "i:0#.f|membership|anna@contoso.com"
        assert seen["target"]["userphoto"] == {"S": "placeholder", "M": "placeholder", "L": "placeholder"}

    @pytest.mark.parametrize(
        ("arrivals", "expected"),
        [
            pytest.param({}, {"guest": False, "enabled": True, "mailbox": True, "geo": ""}, id="a member"),
            pytest.param({"guest": True}, {"guest": True}, id="a guest"),
            pytest.param({"enabled": False}, {"enabled": False}, id="blocked"),
            pytest.param({"mailbox": False}, {"mailbox": False}, id="without a mailbox"),
            pytest.param({"geo": "eur"}, {"geo": "eur"}, id="in another geo"),
        ],
    )
    def test_users_have_the_properties_that_were_given(self, admin, arrivals, expected) -> None:
        (user,) = admin.add(**arrivals)
        seen = admin.user(user)
        assert {key: seen[key] for key in expected} == expected
        assert ("#EXT#" in seen["upn"]) is seen["guest"]

    def test_the_seed_decides_the_ids(self) -> None:
        def ids(seed: int) -> list[str]:
            with Tenant(seed=seed, people=3) as tenant:
                return [person.id for person in tenant.world.living()]

        assert ids(1) == ids(1) != ids(2)

    def test_users_can_exist_from_the_start_and_after_a_reset(self) -> None:
        with Tenant(people=2) as tenant, TenantClient(tenant.admin_url) as admin:
            admin.add()
            admin.reset()
            users = admin.users()
            assert len(users) == 2
            assert all(admin.user(user["id"])["source"] for user in users)

    def test_a_folder_name_applies_to_the_library_of_the_users_geo(self, admin) -> None:
        (elsewhere,) = admin.add(geo="eur", folder="Profilbilder")
        (here,) = admin.add()
        assert admin.user(elsewhere)["target"]["folders"] == ["Profilbilder"]
        assert admin.user(here)["target"]["folders"] != ["Profilbilder"]

    @pytest.mark.parametrize(
        ("arrivals", "status", "reason"),
        [
            pytest.param({"nme": "Anna"}, 400, "unknown: nme", id="a misspelt key"),
            pytest.param({"count": "3"}, 400, "wrong type: count", id="a text for a number"),
            pytest.param({"guest": 1}, 400, "wrong type: guest", id="a number for a Boolean"),
            pytest.param({"count": 0}, 400, "count is", id="absent"),
            pytest.param({"count": 2, "upn": "a@b.c"}, 400, "one person", id="one UPN for two"),
            pytest.param({"geo": "Europe"}, 400, "geo is", id="a geo that is none"),
            pytest.param({"upn": "ANNA@contoso.com"}, 409, "UPN", id="a UPN that is taken"),
        ],
    )
    @pytest.mark.usefixtures("anna")
    def test_invalid_users_are_refused_and_none_is_added(self, admin, arrivals, status, reason) -> None:
        with pytest.raises(AdminError, match=reason) as refused:
            admin.add(**arrivals)
        assert refused.value.status == status
        assert len(admin.users()) == 1

    def test_the_refusal_of_an_unknown_key_lists_the_known_keys(self, admin) -> None:
        with pytest.raises(AdminError) as refused:
            admin.add(nme="Anna")
        known = json.loads(str(refused.value).removeprefix("400: "))["known"]
        assert known["photo"] == "bool or 'shared'"


class TestChanges:
    def test_a_changed_user_keeps_the_id(self, admin, anna) -> None:
        changes = {"upn": "anna.weber@contoso.com", "enabled": False, "mailbox": False, "geo": "eur"}
        admin.change(anna, **changes)
        seen = admin.user("ANNA.weber@contoso.com")
        assert (seen["id"], seen | changes) == (anna, seen)
        with pytest.raises(AdminError, match="404"):
            admin.user("anna@contoso.com")

    def test_a_upn_in_use_is_refused(self, admin, anna) -> None:
        (bilal,) = admin.add(upn="bilal@contoso.com")
        with pytest.raises(AdminError, match="409"):
            admin.change(bilal, upn="Anna@contoso.com")
        assert admin.user(bilal)["upn"] == "bilal@contoso.com"
        assert admin.change(anna, upn="ANNA@contoso.com")["upn"] == "ANNA@contoso.com"  # one's own

    def test_a_deleted_user_frees_the_upn(self, call, admin, anna) -> None:
        assert admin.change(anna, gone=True)["gone"]
        assert call("GET", f"{GRAPH}/users/{anna}").status_code == 404
        assert admin.users() == []
        (successor,) = admin.add(upn="anna@contoso.com")
        assert successor != anna
        assert admin.user("anna@contoso.com")["id"] == successor
        assert admin.user(anna)["gone"]  # what SharePoint kept of the first can still be seen

    def test_a_deleted_user_can_be_restored_unless_the_upn_is_taken(self, call, admin, anna) -> None:
        admin.change(anna, gone=True)
        (successor,) = admin.add(upn="anna@contoso.com")
        with pytest.raises(AdminError, match="409"):
            admin.change(anna, gone=False)
        admin.change(successor, gone=True)
        assert not admin.change(anna, gone=False, mailbox=False)["gone"]
        assert call("GET", f"{GRAPH}/users/anna@contoso.com").json()["id"] == anna
        assert call("GET", f"{GRAPH}/users/{anna}/photo").status_code == 404
        assert admin.user(anna)["target"]["account"] == "i:0#.f|membership|anna@contoso.com"

    def test_a_profile_can_have_a_picture_another_object_id_and_a_second_folder(self, admin, anna) -> None:
        admin.configure(anna, picture=True, object_id="", folder="Profilbilder")
        target = admin.user(anna)["target"]
        assert target["properties"]["msOnline-ObjectId"] == ""
        assert target["properties"]["PictureURL"]
        assert "Profilbilder" in target["folders"]
        assert sha256(admin.shown(anna, "M")) == target["userphoto"]["M"] != "placeholder"

    def test_the_shown_picture_is_the_same_after_a_redirect(self, admin, anna) -> None:
        admin.configure(anna, picture=True)
        direct = admin.shown(anna)
        admin.turn(userphoto_redirects=True)
        assert admin.shown(anna) == direct

    def test_a_change_of_an_absent_profile_is_refused(self, admin, anna) -> None:
        admin.configure(anna, profile=False)
        with pytest.raises(AdminError, match="409"):
            admin.configure(anna, object_id="x")
        with pytest.raises(AdminError, match="404"):
            admin.shown(anna)

    def test_an_unknown_user_is_not_found(self, admin) -> None:
        for act in (admin.user, admin.change, admin.draw_photo, admin.remove_photo, admin.shown):
            with pytest.raises(AdminError, match="absent") as refused:
                act("absent")
            assert refused.value.status == 404


class TestPhotos:
    def test_graph_returns_the_uploaded_photo(self, call, admin, anna) -> None:
        data = portraits.draw("Bilal Conti")
        stored = admin.set_photo(anna, data)
        assert admin.photo(anna) == data
        metadata = call("GET", f"{GRAPH}/users/{anna}/photo").json()
        assert metadata["@odata.mediaEtag"] == stored["etag"] == admin.user(anna)["source"]["etag"]
        assert admin.user(anna)["source"]["sha256"] == sha256(data)

    def test_each_drawn_portrait_is_different(self, admin, anna) -> None:
        hashes = [admin.user(anna)["source"]["sha256"]]
        hashes += [admin.draw_photo(anna)["sha256"] for _ in range(3)]
        assert len(set(hashes)) == 4
        assert hashes[0] == sha256(portraits.draw("Anna Berg", 1))

    def test_a_removed_photo_is_gone(self, call, admin, anna) -> None:
        admin.remove_photo(anna)
        assert admin.user(anna)["source"] is None
        assert call("GET", f"{GRAPH}/users/{anna}/photo").status_code == 404
        with pytest.raises(AdminError, match="404"):
            admin.remove_photo(anna)
        with pytest.raises(AdminError, match="404"):
            admin.photo(anna)

    @pytest.mark.parametrize(
        ("data", "reason"),
        [
            pytest.param(picture()[:-200], "not a picture", id="cut short"),
            pytest.param(picture("PNG"), "is PNG", id="PNG"),
            pytest.param(picture(size=(47, 47)), "at least 48", id="too small"),
            pytest.param(picture() + bytes(MAX_BYTES), "at most 4194304", id="too many bytes"),
        ],
    )
    def test_a_photo_that_exchange_refuses_leaves_the_old_one(self, admin, anna, data, reason) -> None:
        before = admin.user(anna)["source"]
        with pytest.raises(AdminError, match=reason):
            admin.set_photo(anna, data)
        assert admin.user(anna)["source"] == before

    @pytest.mark.parametrize("data", [b"nonsense", picture("PNG")], ids=["nonsense", "PNG"])
    def test_raw_stores_bytes_that_exchange_would_refuse(self, call, admin, anna, data) -> None:
        admin.set_photo(anna, data, raw=True)
        answer = call("GET", f"{GRAPH}/users/{anna}/photo/$value")
        assert (answer.status_code, answer.content) == (200, data)

    @pytest.mark.parametrize(
        ("query", "reason"),
        [
            pytest.param({"notify": "maybe"}, "on, off, twice", id="an unknown wish"),
            pytest.param({"notify": "-1"}, "notify waits", id="the past"),
            pytest.param({"notfy": "on"}, "unknown in the query: notfy", id="misspelt"),
        ],
    )
    def test_an_invalid_query_is_refused_and_the_photo_stays(
        self, session, tenant, admin, anna, query, reason
    ) -> None:
        before = admin.user(anna)["source"]
        url = f"{tenant.admin_url}/users/{anna}/photo"
        answer = session.put(url, picture(), params=query, timeout=10)
        assert answer.status_code == 400
        assert reason in answer.json()["error"]
        assert admin.user(anna)["source"] == before


class TestSwitches:
    def test_a_knob_is_set_and_its_values_are_listed(self, session, tenant, admin) -> None:
        assert admin.turn(no_photo="1x1")["no_photo"] == "1x1"
        assert tenant.world.knobs.no_photo == "1x1"
        known = session.get(f"{tenant.admin_url}/knobs", timeout=10).json()["known"]
        assert known["no_photo"] == "'404' or '1x1'"

    @pytest.mark.parametrize(
        ("knob", "value"),
        [
            pytest.param("no_such_knob", True, id="unknown"),
            pytest.param("photo_change_notifies", "sometimes", id="neither Boolean nor choice"),
            pytest.param("photo_change_notifies", 1, id="a number for a Boolean"),
            pytest.param("batch_throttled_outer", 500, id="not one of the numbers"),
        ],
    )
    def test_an_invalid_knob_changes_nothing(self, tenant, admin, knob, value) -> None:
        before = str(tenant.world.knobs)
        with pytest.raises(AdminError, match="400"):
            admin.turn(**{"no_photo": "1x1", knob: value})
        assert str(tenant.world.knobs) == before

    def test_new_permissions_are_in_the_next_token(self, call, admin) -> None:
        assert admin.consent(graph=["Mail.Read"]) == {
            "graph": ["Mail.Read"],
            "sharepoint": ["Sites.FullControl.All", "User.ReadWrite.All"],
        }
        assert call("GET", f"{GRAPH}/users").status_code == 403
        admin.consent(graph=["User.Read.All"])
        assert call("GET", f"{GRAPH}/users").status_code == 200

    def test_the_clock_only_moves_forward(self, tenant, admin) -> None:
        moved = datetime.fromisoformat(admin.advance(3600))
        assert abs((tenant.world.clock.now() - moved).total_seconds()) < 60
        assert (moved - datetime.now(moved.tzinfo)).total_seconds() > 3500
        for seconds in (-1, 1e300):
            with pytest.raises(AdminError, match="400"):
                admin.advance(seconds)

    def test_an_unknown_subscription_cannot_be_lost(self, admin) -> None:
        assert admin.subscriptions() == []
        for act in (admin.lose, admin.reauthorize):
            with pytest.raises(AdminError, match="no subscription") as refused:
                act("none")
            assert refused.value.status == 404

    def test_a_reset_keeps_only_the_settings(self, call, tenant, admin, anna) -> None:
        settings = admin.settings()
        admin.turn(no_photo="1x1")
        admin.consent(graph=[])
        admin.advance(86400)
        admin.arm({"status": 503})
        admin.create_group()
        call("GET", f"{GRAPH}/users")
        admin.reset()
        assert admin.users() == admin.groups() == []
        assert admin.history() == []
        assert admin.faults() == {"faults": [], "early_return": []}
        assert admin.turn()["no_photo"] == "404"
        assert abs((tenant.world.clock.now() - datetime.now().astimezone()).total_seconds()) < 60
        assert call("GET", f"{GRAPH}/users/{anna}").status_code == 404
        assert admin.settings() == settings

    def test_a_reset_restarts_the_ids(self, admin) -> None:
        before = admin.add(count=3)
        admin.reset()
        assert admin.add(count=3) == before

    def test_faults_of_batch_parts_work_after_a_reset(self, call, admin) -> None:
        admin.reset()
        admin.arm({"part": True, "status": 503})
        parts = [{"id": "1", "method": "GET", "url": "/users"}]
        answer = call("POST", f"{GRAPH}/$batch", json={"requests": parts})
        assert answer.json()["responses"][0]["status"] == 503


class TestFace:
    def test_the_settings_are_complete_for_an_app(self, tenant, admin) -> None:
        described = admin.settings()
        assert described["settings"] == tenant.settings
        assert described["settings"]["HTTPS_PROXY"] == described["proxy"] == tenant.proxy_url
        assert described["settings"]["SHAREPOINT_HOST"] == "contoso.sharepoint.com"
        assert len(described["settings"]["CLIENT_STATE_SECRET"]) >= 32
        assert not {"NOTIFICATION_URL", "AzureWebJobsStorage"} & described["settings"].keys()

    @pytest.mark.parametrize(
        ("method", "path", "body", "status"),
        [
            pytest.param("GET", "/nothing", "", 404, id="no such call"),
            pytest.param("DELETE", "/users", "", 405, id="no such verb"),
            pytest.param("POST", "/users", "{", 400, id="no JSON"),
            pytest.param("POST", "/clock", "{}", 400, id="nothing said"),
        ],
    )
    def test_errors_are_json_with_a_reason(self, session, tenant, method, path, body, status) -> None:
        answer = session.request(method, tenant.admin_url + path, data=body, timeout=10)
        assert answer.status_code == status
        assert answer.json()["error"]

    def test_json_is_read_with_any_content_type(self, session, tenant) -> None:
        form = {"Content-Type": "application/x-www-form-urlencoded"}  # curl's
        answer = session.put(f"{tenant.admin_url}/knobs", data="{}", headers=form, timeout=10)
        assert answer.status_code == 200, answer.text

    def test_calls_of_the_admin_face_are_not_in_the_history(self, admin, anna) -> None:
        admin.user(anna)
        admin.shown(anna)
        assert admin.history() == []


class TestDomain:
    def test_a_renamed_tenant_answers_under_the_new_name_and_redirects_from_the_old_one(self, admin) -> None:
        (anna,) = admin.add(upn="anna@contoso.com", photo=True)
        seen = admin.rename("fabrikam")
        assert seen == {
            "names": ["contoso", "fabrikam"],
            "written": "fabrikam",
            "redirecting": {"contoso": ["root", "my", "admin"], "fabrikam": []},
        }
        target = admin.user(anna)["target"]
        assert target["host"] == "fabrikam-my.sharepoint.com"

    @pytest.mark.parametrize("name", ["", "Fabrikam", "fabri-kam", "fabrikam.com"])
    def test_a_name_that_no_host_can_have_is_refused(self, admin, name) -> None:
        with pytest.raises(AdminError, match="lower-case letters and digits"):
            admin.rename(name)

    def test_a_site_of_no_kind_is_refused(self, admin) -> None:
        with pytest.raises(AdminError, match="sites"):
            admin.rename("fabrikam", sites=["theirs"])

    def test_a_reset_brings_the_first_name_back(self, admin) -> None:
        admin.rename("fabrikam")
        admin.reset()
        assert admin.rename("contoso")["names"] == ["contoso"]
