"""Each event is one line of allowed facts, whatever a service puts into them."""

import logging

import pytest

from shared import logs


def test_an_event_is_text_and_fields(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "photosync"):
        logs.info("photo.synced", user="u1", requests=5, reason="")
    (record,) = caplog.records
    assert record.getMessage() == "photo.synced user=u1 requests=5"
    assert (record.photosync_user, record.photosync_requests, record.photosync_reason) == ("u1", 5, "")


@pytest.mark.parametrize(
    ("write", "level"), [(logs.info, "INFO"), (logs.warning, "WARNING"), (logs.error, "ERROR")]
)
def test_the_level_of_an_event_says_who_must_act(caplog: pytest.LogCaptureFixture, write, level: str) -> None:
    with caplog.at_level(logging.INFO, "photosync"):
        write("an.event")
    assert [record.levelname for record in caplog.records] == [level]


@pytest.mark.parametrize("fact", ["token", "body", "headers", "client_state", "upn", "name", "authorization"])
def test_a_fact_that_is_not_on_the_list_is_never_logged(caplog: pytest.LogCaptureFixture, fact: str) -> None:
    with caplog.at_level(logging.INFO, "photosync"), pytest.raises(ValueError, match=fact):
        logs.info("an.event", **{fact: "secret"})
    assert caplog.records == []


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("one word", '"one word"'),
        ("a\nphoto.synced user=u2", '"a\\nphoto.synced user=u2"'),
        ("\x1b[31m", '"\\u001b[31m"'),
        ("\u202e", '"\\u202e"'),
        (0, "0"),
        (False, "False"),
    ],
    ids=ascii,
)
def test_a_fact_never_breaks_its_line(caplog: pytest.LogCaptureFixture, value: object, shown: str) -> None:
    with caplog.at_level(logging.INFO, "photosync"):
        logs.info("an.event", reason=value)
    assert caplog.messages == [f"an.event reason={shown}"]


@pytest.mark.parametrize(
    ("library", "module", "level"),
    [
        pytest.param("azure", "azure.core.pipeline.policies", logging.INFO, id="requests"),
        pytest.param("msal", "msal.oauth2cli.oauth2", logging.ERROR, id="tokens that it cannot read"),
        pytest.param(
            "urllib3", "urllib3.connectionpool", logging.WARNING, id="addresses and what is in them"
        ),
        pytest.param("PIL", "PIL.TiffImagePlugin", logging.DEBUG, id="what cameras wrote"),
    ],
)
def test_libraries_log_no_details_of_requests(library: str, module: str, level: int) -> None:
    logger = logging.getLogger(library)
    before = logger.level
    try:
        logs.quieten_libraries()
        assert not logging.getLogger(module).isEnabledFor(level)
    finally:
        logger.setLevel(before)
