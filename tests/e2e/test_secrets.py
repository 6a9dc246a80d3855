"""No secret is in any log line, queue message, table row or answer, whatever goes wrong.

The host and every library log at their most detailed level here. Everything that was ever stored is read from
storage's own files, which keep messages that were deleted long ago.
"""

import json
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs
from uuid import uuid4

import pytest
import requests
from azure.storage.queue import generate_account_sas
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from PIL import Image

from local.azurite import ACCOUNT, KEY, Azurite
from tests.e2e.apps import fast_app
from tests.e2e.leaks import PIECE, Secrets, forms
from tests.e2e.pictures import jpeg
from tests.e2e.story import ENTRA, SWEEPING, Story, playing, quiet_stage

EVERYTHING = {"PYTHON_ENABLE_DEBUG_LOGGING": "1"}
PASSWORD, WRONG = "Sesam-oeffne-dich-4711", "Hokus-Pokus-fidibus-0815"
ARTIST, EXIF_ARTIST = "Annegret van der Zwaluw", 315  # learn.microsoft.com/windows/win32/wic/-wic-native
PHOTO_HEAD = 600  # bytes: the headers, with the camera's metadata
LINE = 20  # characters of a longer line of a certificate or key
IN_TURN = 60.0  # seconds; a sync that meets another one of the same user comes back after half a minute


@pytest.fixture(scope="module")
def location(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("storage")


@pytest.fixture(scope="module")
def shared_story(tmp_path_factory: pytest.TempPathFactory, location: Path) -> Iterator[Story]:
    settings = {**SWEEPING, **EVERYTHING, "REMOVE_AFTER": "PT1S"}
    app = fast_app(tmp_path_factory.mktemp("app"), retry_after=0, level="Trace")
    _say_something(app / "function_app.py")
    with (
        Azurite(location=location) as storage,
        playing(quiet_stage(storage=storage, app=app, settings=settings)) as story,
    ):
        yield story


def _say_something(module: Path) -> None:
    """Let the app log a line that shows only if everything is logged."""
    text = module.read_text()
    module.unlink()
    module.write_text(f'{text}\nlogging.debug("the app is imported")\n')


class Recorder:
    """Collects all logs and answers, one host after another, and the secrets that were in use."""

    def __init__(self, story: Story) -> None:
        self.story = story
        self.said: list[str] = []
        self.keys: set[str] = set()

    def ask(self, method: str, path: str, **how: Any) -> requests.Response:
        answer = self.story.stage.call(method, path, **how)
        self.said.append(f"{answer.status_code} {answer.headers} {answer.text}")
        return answer

    def sync(self, user: str, **query: str) -> requests.Response:
        return self.ask("POST", f"users/{user}/sync", params=query)

    def restart_with_open_gates(self, **settings: str) -> None:
        """Replace the host by another one, after collecting its whole log."""
        host = self.story.stage.host
        assert host
        host.kill()  # no need to wait
        self._collect(host)
        self.story.restart_with_open_gates(**settings)

    def end(self, location: Path) -> dict[str, str]:
        """Stop host and storage; return everything that was answered, logged and stored."""
        host = self.story.stage.host
        self.story.stage.stop_host()
        self._collect(host)
        self.story.stage.storage.stop()
        files = [path.read_bytes().decode("latin-1") for path in location.rglob("*") if path.is_file()]
        self.story.stage.storage.start()
        self.story.stage.start_host()
        return {"said": "\n".join(self.said), "stored": "\n".join(files)}

    def _collect(self, host: Any) -> None:
        self.said.append(host.log)
        self.keys |= {*host.keys.values(), *host.function_keys.values()}


def _photo() -> bytes:
    """A photo with a name in its camera metadata."""
    exif = Image.Exif()
    exif[EXIF_ARTIST] = ARTIST
    stream = BytesIO()
    Image.new("RGB", (300, 300), "teal").save(stream, "JPEG", exif=exif)
    return stream.getvalue()


def _signature() -> str:
    """A shared access signature for the whole account."""
    expiry = datetime.now(UTC) + timedelta(hours=1)
    return generate_account_sas(ACCOUNT, KEY, "sco", "rwdlacup", expiry, services="qt")


def _connection(story: Story, signature: str) -> str:
    """The connection string with a signature in the place of the key."""
    parts = story.stage.storage.connection_string.split(";")
    kept = [part for part in parts if part and not part.startswith(("AccountKey", "AccountName"))]
    return ";".join([*kept, f"SharedAccessSignature={signature}"])


def _encrypted(pem: str) -> str:
    """The certificate with its key behind a password."""
    key = load_pem_private_key(pem.encode(), None)
    locked = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(PASSWORD.encode()))
    return locked.decode() + pem[pem.index("-----BEGIN CERTIFICATE") :]


def _lines(*pems: str) -> set[str]:
    lines = (line for pem in pems for line in pem.splitlines())
    return {line for line in lines if len(line) > LINE and not line.startswith("-----")}


def _proofs(tokens: Iterable[str]) -> list[str]:
    """Header and signature of JSON Web Tokens; the times in between occur in messages, too."""
    return [part for token in tokens for part in token.split(".")[::2]]


# --- the scenario ---


def _play_successes(recorder: Recorder) -> tuple[str, str]:
    """Every function succeeds; a known user, and one who was never synced."""
    story = recorder.story
    user, removed, missed = story.add_synced_user(), story.add_synced_user(), story.add_user()
    story.people.remove_photo(removed)
    story.send_check(removed)
    story.until(lambda: story.ledger(removed)["missing_since"], removed)
    assert recorder.ask("POST", "subscription").json()["did"] == "created"
    story.people.set_photo(user, _photo(), notify="on")
    story.until(lambda: story.settled(user), user)
    (subscription,) = story.people.subscriptions()
    story.people.reauthorize(subscription["id"])
    story.until(lambda: "'Functions.tend_subscription' (Succeeded" in story.log, what="the lifecycle event")
    running = recorder.ask("GET", "status").json()["sweep"]["id"]  # the sweep of the new subscription
    noted = story.ledger(removed)["missing_since"]
    story.until(lambda: time.time() - noted > 1, what="the time for which a photo may be missing")
    story.start_now(running)
    assert story.ended(running)["state"] == "finished"
    story.until(lambda: story.ledger(removed)["outcome"] == "cleared", removed)
    assert story.settled(missed)
    assert recorder.sync(user, force="true").json()["outcome"] == "synced"
    assert recorder.sync(user, dry_run="true").json()["outcome"] == "unchanged"
    assert recorder.ask("POST", "sweeps").status_code == 202
    assert recorder.ask("POST", "sweeps").status_code == 409
    return user, story.add_user()


def _play_refusals(recorder: Recorder, user: str) -> None:
    """Requests of strangers, invalid messages, and poison."""
    story = recorder.story
    (subscription,) = story.people.subscriptions()
    state = subscription["clientState"]
    for face in ("notifications", "lifecycle"):
        for item in (story.stage.tenant.graph.notification(subscription["id"], user), {"clientState": state}):
            forged = {**item, "clientState": f"{state[:-1]}x"}
            recorder.ask("POST", face, key="", json={"value": [item, forged, 7]})
        recorder.ask("POST", face, key="", data=f'{{"clientState": "{state}"')
    assert recorder.ask("GET", "status", key="wrong").status_code == 401
    assert recorder.sync(str(uuid4())).status_code == 404
    assert recorder.sync(user, force="perhaps").status_code == 400
    story.people.set_photo(user, jpeg("navy")[:500], raw=True)
    story.send_sync(user, tries=2)
    story.until(lambda: story.ledger(user)["outcome"] == "failed", user, seconds=IN_TURN)
    story.people.draw_photo(user)
    story.people.arm({"path": "LThumb", "status": 400})
    story.send_sync(user)
    story.until(lambda: "poison.recorded" in story.log, user, seconds=IN_TURN)
    story.until(lambda: recorder.sync(user).status_code == 502, user)
    story.people.disarm()
    for queue in ("photo-checks", "photo-sweeps", "photo-subscription"):
        story.send(queue, '{"v":1,"job":"nothing"}')
    story.until(lambda: len(recorder.ask("GET", "status").json()["poison"]) == 3, what="poison is kept")


def _echo(story: Story) -> str:
    """An error whose text repeats the `Authorization` header, as a proxy or a debug page would."""
    heard = f"Authorization: Bearer {story.stage.tenant.tokens.issue('https://graph.microsoft.com', ())}"
    return json.dumps({"error": {"code": "Odd", "message": heard}, "error_description": heard})


def _play_echoes(recorder: Recorder) -> None:
    """Every service refuses a user, and fails, with texts that repeat the request."""
    story, body = recorder.story, _echo(recorder.story)
    user = story.add_synced_user()  # no other attempt is at work for this user
    for fault in (
        {"service": "graph", "path": "batch", "status": 400},
        {"service": "graph", "part": True, "status": 400},
        {"service": "sharepoint-files", "status": 400},
        {"service": "sharepoint-profiles", "status": 400},
        {"service": "graph", "part": True, "status": 500},
        {"service": "graph", "path": "batch", "status": 500},
    ):
        story.people.arm({**fault, "body": body})
        assert recorder.sync(user, force="true").status_code >= 500
    recorder.restart_with_open_gates()


def _play_failures(recorder: Recorder, known: str, stranger: str) -> None:
    """Every service throttles, fails and denies, as does the issuer of its tokens."""
    story, echo = recorder.story, {"body": _echo(recorder.story)}
    entra, files, profiles = (
        {"host": ENTRA},
        {"service": "sharepoint-files"},
        {"service": "sharepoint-profiles"},
    )
    graph = {"service": "graph", "path": "subscriptions"}
    for faults in (
        ({**files, "status": 401}, {**graph, "status": 403}),
        ({**files, "status": 429, "retry_after": 60}, {**graph, "status": 401}),
        ({**files, "status": 500}, {**graph, "status": 429}),
        ({**profiles, "status": 403}, {**graph, "status": 500}),
        ({**profiles, "status": 500}, {**graph, "status": 400}),
        ({**profiles, "status": 429}, {**graph, "truncate": True}),
        ({**entra, "skip": 1, "next": 1, "status": 401}, {**entra, "status": 500}),
        ({**entra, "path": "token", "status": 429}, {**graph, "drop": True}),
    ):
        recorder.restart_with_open_gates()
        story.people.arm(*(fault | echo if "status" in fault else fault for fault in faults))
        recorder.ask("POST", "subscription")
        recorder.sync(known, force="true")
        recorder.sync(stranger, force="true")
        recorder.ask("GET", "status")
        assert sum(fault["fired"] for fault in story.people.faults()["faults"]) >= 1
    story.people.disarm()


def _play_wrong_settings(recorder: Recorder, user: str, signature: str) -> None:
    """A wrong password, a secret without permission, and storage that fails while a signature is used."""
    story = recorder.story
    locked = _encrypted(story.stage.tenant.settings["CLIENT_CERTIFICATE"])
    recorder.restart_with_open_gates(CLIENT_CERTIFICATE=locked, CLIENT_CERTIFICATE_PASSWORD=WRONG)
    assert recorder.sync(user).status_code == 500
    story.send_sync(user)
    story.until(lambda: "photo.deferred" in story.log, user)
    recorder.restart_with_open_gates(
        CLIENT_STATE_SECRET="@Microsoft.KeyVault(SecretUri=https://vault/secrets/state)"
    )
    assert recorder.sync(user).status_code == 500
    assert recorder.ask("POST", "notifications", key="", json={"value": []}).status_code == 503
    story.stage.fire("renew_subscription")
    story.until(lambda: "'Functions.renew_subscription' (Failed" in story.log, what="the timer fails")
    recorder.restart_with_open_gates(AzureWebJobsStorage=_connection(story, signature))
    other = story.add_user()  # a killed host may have left its claim on the user before
    assert recorder.sync(other).json()["outcome"] == "synced"
    story.stage.storage.stop()
    assert "storage" in recorder.ask("GET", "status").text
    recorder.sync(user, force="true")
    (subscription,) = story.people.subscriptions()
    item = story.stage.tenant.graph.notification(subscription["id"], user)
    assert recorder.ask("POST", "notifications", key="", json={"value": [item]}).status_code >= 500
    story.stage.fire("start_sweep")
    story.until(lambda: "'Functions.start_sweep' (Failed" in story.log, what="the timer fails")
    story.stage.storage.start()


def _secrets(recorder: Recorder, signature: str, *photos: bytes) -> Secrets:
    """All secrets that were in use, with their real values."""
    tenant = recorder.story.stage.tenant
    settings = tenant.settings
    pem = settings["CLIENT_CERTIFICATE"]
    (subscription,) = recorder.story.people.subscriptions()
    return Secrets(
        token=_proofs(tenant.tokens.issued),
        assertion=_proofs(tenant.entra.assertions),
        certificate=_lines(pem, _encrypted(pem)),
        password=(PASSWORD, WRONG),
        client_state=(subscription["clientState"],),
        client_state_secret=(settings["CLIENT_STATE_SECRET"],),
        function_key=recorder.keys,
        storage_key=(KEY,),
        signature=parse_qs(signature)["sig"],
        photo=[photo[:PHOTO_HEAD] for photo in photos],
    )


@pytest.mark.timeout(300)  # a dozen hosts, and syncs that may wait for their minute
def test_no_secret_is_ever_logged_answered_or_stored(story: Story, location: Path) -> None:
    recorder, signature = Recorder(story), _signature()
    known, stranger = _play_successes(recorder)
    _play_refusals(recorder, known)
    _play_echoes(recorder)
    _play_failures(recorder, known, stranger)
    _play_wrong_settings(recorder, known, signature)
    secrets = _secrets(recorder, signature, _photo(), story.people.photo(known), story.people.shown(known))

    heard = recorder.end(location)

    words = (
        "photo.synced",
        "settled_etag",
        "photo.failed",
        "gate.closed",
        "settings.wrong",
        "DEBUG    the app",
    )
    assert [word for word in words if word not in heard["said"] + heard["stored"]] == []
    assert {channel: secrets.found_in(text) for channel, text in heard.items()} == {"said": {}, "stored": {}}


def test_a_secret_in_any_log_answer_or_store_would_be_found(story: Story, location: Path) -> None:
    recorder, tokens = Recorder(story), story.stage.tenant.tokens
    answered, stored, logged = (tokens.issue(f"https://{host}", ()) for host in ("a", "b", "c"))
    recorder.ask("POST", "notifications", key="", params={"validationToken": answered})
    story.send("photo-syncs", f'{{"v":1,"job":"{stored}"}}')
    story.until(lambda: "poison.kept" in story.log, what="the message is kept")
    story.write_row("photostate", "gate", "graph", closed_until=logged)
    assert recorder.ask("GET", "status").status_code == 500

    heard = recorder.end(location)

    own = {"answered": answered, "stored": stored, "logged": logged}  # the rest is the same in all tokens
    secrets = Secrets(**{kind: [token.rpartition(".")[2]] for kind, token in own.items()})
    assert secrets.found_in(heard["said"]).keys() == {"answered", "logged"}
    assert secrets.found_in(heard["stored"]).keys() == {"stored", "logged"}


@pytest.mark.parametrize("around", ["", "x", "xy"])
def test_ten_characters_of_a_secret_are_found_in_every_form(around: str) -> None:
    secret = 'Zwölf "Boxkämpfer" jagen & <Viktor> quer/über+den=Sylter Deich'
    secrets = Secrets(it=[secret])

    for form in forms(f"{around}{secret}"):
        middle = len(form) // 2
        assert secrets.found_in(f"DEBUG {form[middle : middle + 2 * PIECE]}!").keys() == {"it"}
    assert secrets.found_in("Zwölf Boxkämpfer, die niemanden jagen, und quer über den Deich") == {}
