"""Conversions between requests, messages, outputs and the worker's messages; waits between polls."""

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.host.calls.outputs import split
from local.host.http.conversions import ResponseError, from_worker, read_query
from local.host.queues.listeners import Backoff
from local.host.queues.messages import EncodingError, decode, describe, encode
from local.host.worker import protos


class TestConversions:
    """Conversion of requests and responses."""

    def test_a_query_keeps_every_value_under_its_first_spelling(self):
        assert read_query("/p?a=1&B=&A=2&b=x%3Dy&c") == {"a": ["1", "2"], "B": ["", "x=y"], "c": [""]}

    def test_a_function_that_returns_nothing_answers_200_without_a_body(self):
        response = from_worker(None)

        assert (response.status, response.body) == (200, b"")

    @pytest.mark.parametrize(
        "returned",
        [
            pytest.param(protos.TypedData(string="x"), id="a string"),
            pytest.param(protos.TypedData(http=protos.RpcHttp(cookies=[{"name": "a"}])), id="a cookie"),
        ],
    )
    def test_a_return_value_that_is_not_simulated_is_refused(self, returned):
        with pytest.raises(ResponseError):
            from_worker(returned)


def message(body: str) -> SimpleNamespace:
    times = dict.fromkeys(("expires_on", "inserted_on", "next_visible_on"))
    return SimpleNamespace(id="1", dequeue_count=2, pop_receipt="p", content=body, **times)


class TestMessages:
    """Queue messages."""

    @given(st.text(), st.sampled_from(["base64", "none"]))
    def test_decoding_reverses_encoding(self, text, encoding):
        assert decode(encode(text, encoding), encoding) == text

    @pytest.mark.parametrize("text", ["***", "YQ=", "/w=="])
    def test_a_text_that_is_not_base64_of_utf8_is_refused(self, text):
        with pytest.raises(EncodingError):
            decode(text, "base64")

    @pytest.mark.parametrize(
        ("body", "name", "value"),
        [
            pytest.param('{"id": "x"}', "Id", protos.TypedData(string="x"), id="a string"),
            pytest.param('{"ID": 7}', "Id", protos.TypedData(string="7"), id="a number"),
            pytest.param('{"popreceipt": true}', "PopReceipt", protos.TypedData(string="True"), id="a flag"),
            pytest.param('{"id": {"a": 1}}', "Id", protos.TypedData(json='{"a": 1}'), id="an object"),
            pytest.param('{"id": [1]}', "Id", protos.TypedData(string="1"), id="a list does not"),
            pytest.param('{"id": null}', "Id", protos.TypedData(string="1"), id="null does not"),
            pytest.param('[{"id": "x"}]', "Id", protos.TypedData(string="1"), id="a list of objects"),
            pytest.param('{"id": "x"', "Id", protos.TypedData(string="1"), id="malformed JSON does not"),
            pytest.param('{"v": {"id": "x"}}', "Id", protos.TypedData(string="1"), id="nested does not"),
            pytest.param('{"more": "x"}', "more", protos.TypedData(string="x"), id="other names are added"),
        ],
    )
    def test_top_level_properties_overwrite_the_metadata(self, body, name, value):
        assert describe(message(body), body)[name] == value


class TestOutputs:
    """Conversion of a function's output to messages."""

    @pytest.mark.parametrize(
        ("value", "bodies"),
        [
            pytest.param(protos.TypedData(string="x"), ["x"], id="text"),
            pytest.param(protos.TypedData(string="[x"), ["[x"], id="an unclosed list"),
            pytest.param(protos.TypedData(string=' {"a":"ü"} '), ['{\n  "a": "ü"\n}'], id="an object"),
            pytest.param(protos.TypedData(string="[]"), [], id="an empty list"),
            pytest.param(protos.TypedData(string='["x", {"b": []}]'), ["x", '{\n  "b": []\n}'], id="a list"),
            pytest.param(protos.TypedData(bytes=b"\xff"), [b"\xff"], id="bytes"),
            pytest.param(
                protos.TypedData(json='["{\\"a\\":1}", 2, null, true]'),
                ['{"a":1}', "2", "", "True"],
                id="items",
            ),
        ],
    )
    def test_an_output_value_is_converted_to_messages(self, value, bodies):
        assert split(value) == bodies


class TestBackoff:
    """Waits between polls."""

    def test_waits_double_up_to_the_longest_until_a_message_is_found(self):
        backoff = Backoff(2, draw=lambda: 0.5)

        assert [round(backoff.next(), 3) for _ in range(7)] == [0.1, 0.2, 0.3, 0.5, 0.9, 1.7, 2]
        backoff.reset()
        assert backoff.next() == 0.1

    @given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.floats(0.1, 100))
    def test_no_wait_is_shorter_than_the_shortest_or_longer_than_the_longest(self, draws, longest):
        backoff = Backoff(longest, draw=iter(draws * 2).__next__)

        assert all(0.1 <= backoff.next() <= longest for _ in draws)


class TestProtos:
    """The messages between host and worker."""

    @pytest.mark.parametrize(
        ("kind", "values"),
        [
            pytest.param(protos.TypedData, {"nope": 1}, id="an unknown field"),
            pytest.param(protos.TypedData, {"int": 2**63}, id="a number too large"),
            pytest.param(protos.RpcHttp, {"headers": {"a": 1}}, id="a number in a map of strings"),
            pytest.param(protos.RpcHttp, {"body": b"x"}, id="bytes as a message"),
            pytest.param(protos.RpcRetryOptions, {"retry_strategy": "often"}, id="an unknown enum label"),
        ],
    )
    def test_a_field_that_the_schema_does_not_allow_is_refused(self, kind, values):
        with pytest.raises((TypeError, ValueError)):
            kind(**values)

    def test_an_empty_value_of_a_oneof_counts_as_set(self):
        assert protos.TypedData(string="").WhichOneof("data") == "string"
        assert protos.ParameterBinding(name="x").WhichOneof("rpc_data") is None
