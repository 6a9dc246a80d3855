"""Graph validates a webhook by posting a token that must come back; so can any stranger."""

from urllib.parse import quote

import pytest
import requests

from tests.e2e.story import Story

FACES = ("notifications", "lifecycle")
pytestmark = pytest.mark.parametrize("face", FACES)


def _shake(story: Story, face: str, query: str) -> requests.Response:
    return story.stage.call("POST", f"{face}?validationToken={query}", key="")


@pytest.mark.parametrize(
    ("query", "token"),
    [
        pytest.param("plain", "plain", id="plain"),
        pytest.param("a+b%2Bc", "a b+c", id="plus is a space"),
        pytest.param("Validation%3a+Testing", "Validation: Testing", id="lower-case escapes"),
        pytest.param("%22quoted%22+%26+more", '"quoted" & more', id="quotation marks"),
        pytest.param("Z%C3%BCrich", "Zürich", id="beyond ASCII"),
        pytest.param("x" * 2048, "x" * 2048, id="two kilobytes"),
        pytest.param(quote("../../etc?x={}"), "../../etc?x={}", id="a path"),
    ],
)
def test_the_token_comes_back_as_plain_text_only(story: Story, face: str, query: str, token: str) -> None:
    answer = _shake(story, face, query)

    assert (answer.status_code, answer.content.decode()) == (200, token)
    assert answer.headers["Content-Type"].partition(";")[0] == "text/plain"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert story.history() == []


@pytest.mark.parametrize(
    "query",
    [
        pytest.param(quote("<script>alert(4711)</script>"), id="a tag"),
        pytest.param("4711%0d%0aSet-Cookie:+a=b", id="line breaks"),
        pytest.param("4711%00", id="a null"),
        pytest.param("4711" * 750, id="three kilobytes"),
        pytest.param("%E2%80%AE4711", id="an invisible character"),
    ],
)
def test_an_invalid_token_is_refused_without_an_echo(story: Story, face: str, query: str) -> None:
    answer = _shake(story, face, query)

    assert answer.status_code == 400
    assert "4711" not in answer.text + str(answer.headers)


def test_two_tokens_are_returned_as_one_text(story: Story, face: str) -> None:
    answer = _shake(story, face, "one&validationToken=two")

    assert (answer.status_code, answer.text) == (200, "one,two")


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_only_post_requests_are_answered(story: Story, face: str, method: str) -> None:
    answer = story.stage.call(method, f"{face}?validationToken=plain", key="")

    assert answer.status_code == 404
    assert "plain" not in answer.text
