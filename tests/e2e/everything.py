"""A scenario in which the app meets all that it can meet, and the record of what it says meanwhile."""

import json
import time
from io import BytesIO
from pathlib import Path
from typing import Any
from uuid import uuid4

import requests
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from PIL import Image

from tests.e2e.pictures import jpeg
from tests.e2e.story import ENTRA, Story

PASSWORD, WRONG = "Sesam-oeffne-dich-4711", "Hokus-Pokus-fidibus-0815"
ARTIST, EXIF_ARTIST = "Annegret van der Zwaluw", 315  # learn.microsoft.com/windows/win32/wic/-wic-native
IN_TURN = 60.0  # seconds; a sync that meets another one of the same user comes back after half a minute


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
        self.story.forget("photostate", "gate")
        self.story.restart(**settings)

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


def play(recorder: Recorder, signature: str) -> str:
    """Play everything; return a user whose photo SharePoint shows.

    Args:
        recorder: records what is said.
        signature: a shared access signature for storage, which the app uses in the end.
    """
    known, stranger = _play_successes(recorder)
    _play_refusals(recorder, known)
    _play_echoes(recorder)
    _play_failures(recorder, known, stranger)
    _play_wrong_settings(recorder, known, signature)
    return known


def photo_with_a_name() -> bytes:
    """A photo with a name in its camera metadata."""
    exif = Image.Exif()
    exif[EXIF_ARTIST] = ARTIST
    stream = BytesIO()
    Image.new("RGB", (300, 300), "teal").save(stream, "JPEG", exif=exif)
    return stream.getvalue()


def encrypted(pem: str) -> str:
    """The certificate with its key behind a password."""
    key = load_pem_private_key(pem.encode(), None)
    locked = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(PASSWORD.encode()))
    return locked.decode() + pem[pem.index("-----BEGIN CERTIFICATE") :]


def _connection(story: Story, signature: str) -> str:
    """The connection string with a signature in the place of the key."""
    parts = story.stage.storage.connection_string.split(";")
    kept = [part for part in parts if part and not part.startswith(("AccountKey", "AccountName"))]
    return ";".join([*kept, f"SharedAccessSignature={signature}"])


def _play_successes(recorder: Recorder) -> tuple[str, str]:
    """Every function succeeds; a known user, and one who was never synced."""
    story = recorder.story
    user, removed, missed = story.add_synced_user(), story.add_synced_user(), story.add_user()
    story.people.remove_photo(removed)
    story.send_check(removed)
    story.until(lambda: story.ledger(removed)["missing_since"], removed)
    assert recorder.ask("POST", "subscription").json()["did"] == "created"
    story.people.set_photo(user, photo_with_a_name(), notify="on")
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
    story.until(lambda: "400" in story.ledger(user)["reason"], user, seconds=IN_TURN)
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
        ({**profiles, "status": 403}, {**graph, "status": 500}),
        ({**profiles, "status": 500}, {**graph, "truncate": True}),
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
    locked = encrypted(story.stage.tenant.settings["CLIENT_CERTIFICATE"])
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
