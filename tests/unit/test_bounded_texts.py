"""What a service says is bounded before it is stored, however long it is."""

import pytest

from shared.errors import LONGEST_CODE, LONGEST_WHAT, Denied, Refused, ServiceError, TryLater
from shared.graph.photo import graph_error_code


@pytest.mark.parametrize("kind", [TryLater, Denied, Refused])
def test_an_error_keeps_no_more_of_a_service_than_a_row_can_hold(kind: type[ServiceError]) -> None:
    error = kind("graph", "x" * 100_000, code="y" * 100_000, request_id="z" * 100_000)

    assert len(str(error)) == len("graph: ") + LONGEST_WHAT
    assert (len(error.code), len(error.request_id)) == (LONGEST_CODE, LONGEST_CODE)


@pytest.mark.parametrize(
    "error",
    [
        {"code": "x" * 100_000},
        {"code": "UnknownError", "message": f'{{"errorCode": "{"x" * 100_000}"}}'},
    ],
    ids=["plain", "wrapped"],
)
def test_a_code_of_graph_is_cut(error: dict[str, str]) -> None:
    assert graph_error_code({"error": error}) == "x" * LONGEST_CODE
