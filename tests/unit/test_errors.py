"""Errors differ by what the caller does next, and carry facts instead of text to parse."""

import pytest

from shared.errors import (
    ConfigError,
    Denied,
    Gone,
    NotOurs,
    Refused,
    ServiceError,
    Stale,
    SyncError,
    TryLater,
)

OURS = [ConfigError, Stale, NotOurs, ServiceError, TryLater, Denied, Refused, Gone]
FROM_A_SERVICE = [TryLater, Denied, Refused, Gone]


def test_every_error_that_this_app_raises_on_purpose_is_a_sync_error() -> None:
    assert all(issubclass(kind, SyncError) for kind in OURS)
    assert issubclass(Gone, Refused)  # so that no caller retries it by accident


@pytest.mark.parametrize(
    ("kind", "not_caught_as"),
    [
        pytest.param(TryLater, (Denied, Refused), id="temporary is neither a permission nor final"),
        pytest.param(Denied, (TryLater, Refused), id="a missing permission is neither temporary nor final"),
        pytest.param(Refused, (TryLater, Denied, Gone), id="a refused call is not deferred"),
        pytest.param(Gone, (TryLater, Denied), id="what is gone is not waited for"),
        pytest.param(Stale, (ServiceError, NotOurs), id="a stale row is not an answer of a service"),
        pytest.param(NotOurs, (ServiceError, Stale), id="a malformed message is not an answer of a service"),
        pytest.param(
            ConfigError, (ServiceError, NotOurs), id="a wrong setting is an error of this app alone"
        ),
    ],
)
def test_errors_with_different_consequences_are_not_caught_as_each_other(
    kind: type[Exception], not_caught_as: tuple[type[Exception], ...]
) -> None:
    assert not issubclass(kind, not_caught_as)


@pytest.mark.parametrize("kind", FROM_A_SERVICE)
def test_a_services_error_carries_its_facts_beside_its_sentence(kind: type[ServiceError]) -> None:
    error = kind("graph", "no photo", status=404, code="ImageNotFound", request_id="4711")
    facts = (error.service, error.status, error.code, error.request_id)
    unanswered = kind("storage", "no answer")

    assert str(error) == "graph: no photo"
    assert facts == ("graph", 404, "ImageNotFound", "4711")
    assert (unanswered.status, unanswered.code, unanswered.request_id) == (None, "", "")


def test_no_wait_given_differs_from_a_wait_of_zero() -> None:
    assert TryLater("graph", "busy").after is None
    assert TryLater("graph", "busy", after=0.0).after == 0.0


def test_a_configuration_error_names_every_problem_whatever_brings_them() -> None:
    problems = ["TENANT_ID is missing", "CLOUD must be one of global, china"]

    error = ConfigError(problem for problem in problems)

    assert error.problems == tuple(problems)
    assert all(problem in str(error) for problem in problems)
