"""No secret is in any log line, queue message, table row or answer, whatever goes wrong.

The host and every library log at their most detailed level here. Everything that was ever stored is read from
storage's own files, which keep messages that were deleted long ago.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs

import pytest
from azure.storage.queue import generate_account_sas

from local.azurite import ACCOUNT, KEY, Azurite
from tests.e2e.apps import fast_app
from tests.e2e.everything import PASSWORD, WRONG, Recorder, encrypted, photo_with_a_name, play
from tests.e2e.leaks import PIECE, Secrets, forms
from tests.e2e.story import SWEEPING, Story, playing, quiet_stage

EVERYTHING = {"PYTHON_ENABLE_DEBUG_LOGGING": "1"}
PHOTO_HEAD = 600  # bytes: the headers, with the camera's metadata
LINE = 20  # characters of a longer line of a certificate or key


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


def _signature() -> str:
    """A shared access signature for the whole account."""
    expiry = datetime.now(UTC) + timedelta(hours=1)
    return generate_account_sas(ACCOUNT, KEY, "sco", "rwdlacup", expiry, services="qt")


def _lines(*pems: str) -> set[str]:
    lines = (line for pem in pems for line in pem.splitlines())
    return {line for line in lines if len(line) > LINE and not line.startswith("-----")}


def _proofs(tokens: Iterable[str]) -> list[str]:
    """Header and signature of JSON Web Tokens; the times in between occur in messages, too."""
    return [part for token in tokens for part in token.split(".")[::2]]


def _secrets(recorder: Recorder, signature: str, *photos: bytes) -> Secrets:
    """All secrets that were in use, with their real values."""
    tenant = recorder.story.stage.tenant
    settings = tenant.settings
    pem = settings["CLIENT_CERTIFICATE"]
    (subscription,) = recorder.story.people.subscriptions()
    return Secrets(
        token=_proofs(tenant.tokens.issued),
        assertion=_proofs(tenant.entra.assertions),
        certificate=_lines(pem, encrypted(pem)),
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
    known = play(recorder, signature)
    photos = (photo_with_a_name(), story.people.photo(known), story.people.shown(known))
    secrets = _secrets(recorder, signature, *photos)

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
