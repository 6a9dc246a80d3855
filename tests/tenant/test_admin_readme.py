"""The README names every call, fault and knob there is, and no others."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from local.tenant.knobs import Knobs
from local.tenant.traffic.faults import Fault
from local.tenant.traffic.quota import Limits

README = (Path(__file__).parents[2] / "local/tenant/README.md").read_text()


def first_cells(section: str) -> str:
    """Return the first column of a section's table."""
    text = README.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    return "\n".join(line.split(" | ")[0] for line in text.splitlines() if line.startswith("| "))


def test_every_call_is_described(tenant, session) -> None:
    calls = session.get(tenant.admin_url, timeout=10).json()["calls"]
    listed = {call.replace("<key>", "{id}") for call in calls} - {"GET /"}
    described = set(re.findall(r"`((?:GET|PUT|POST|DELETE) /[\w{}/]*)", first_cells("The admin face")))
    assert described == listed


@pytest.mark.parametrize("knob", fields(Knobs), ids=lambda knob: knob.name)
def test_every_knob_is_described(knob) -> None:
    assert f"`{knob.name}`" in first_cells("Knobs")


def test_every_described_knob_exists() -> None:
    described = set(re.findall(r"`(\w+)`", first_cells("Knobs")))
    assert described <= {knob.name for knob in fields(Knobs)}


def test_every_key_of_a_fault_is_described() -> None:
    text = README.partition("\n## Faults\n")[2].partition("\n## ")[0]
    assert {field.name for field in fields(Fault)} <= set(re.findall(r"`(\w+)`", text))


def test_every_limit_of_a_quota_is_described_and_no_other() -> None:
    described = set(re.findall(r"`(\w+)`", first_cells("Quotas")))
    assert described == {field.name for field in fields(Limits)}
