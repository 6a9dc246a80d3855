"""The Bicep files: no compiler is at hand, so each test holds one thing that it would refuse."""

from pathlib import Path

import pytest

from shared.jobs import Backfill, Check, SweepPage, SweptCheck, Sync, Tend
from shared.storage.tables import LEDGER, PARTS, STATE
from tests.infra import bicep
from tests.infra.conftest import ROOT, Plant


def test_every_file_parses_and_every_symbol_is_declared_described_and_used() -> None:
    assert len(bicep.files(ROOT / "infra")) > 8
    assert bicep.problems(ROOT / "infra") == []


@pytest.mark.parametrize(
    ("file", "old", "new", "problem"),
    [
        pytest.param("main", "param location string", "param location string\n}", "is not Bicep", id="brace"),
        pytest.param("app/storage", "'Enabled'\n", "'Enabled\n", "is not Bicep", id="quote"),
        pytest.param(
            "main",
            "var tags =",
            "@description('x')\nparam idle string\n\nvar tags =",
            "param idle is not used",
            id="unused parameter",
        ),
        pytest.param(
            "main", "var tags =", "var idle = 1\nvar tags =", "var idle is not used", id="unused var"
        ),
        pytest.param(
            "app/rbac",
            "resource vault ",
            "resource idle 'A/b@2024-11-01' existing = { name: vaultName }\n\nresource vault ",
            "existing idle is not used",
            id="unused existing",
        ),
        pytest.param("main", "dryRun ?", "dry ?", "dry is not declared", id="undeclared"),
        pytest.param("app/network", "zones[index]", "zones[i]", "i is not declared", id="undeclared in loop"),
        pytest.param("main", "sku: storageSku", "skew: storageSku", "no parameter skew", id="unknown param"),
        pytest.param("main", "    sku: storageSku\n", "", "storage is not given sku", id="missing param"),
        pytest.param("main", "outputs.url", "outputs.uri", "no output uri", id="unknown output"),
        pytest.param(
            "main", "network!.outputs.appSubnetId", "network!.outputs.x", "no output x", id="optional"
        ),
        pytest.param("main", "app/rbac.bicep", "app/roles.bicep", "no file roles.bicep", id="unknown module"),
        pytest.param(
            "app/storage",
            "@description('Redundancy of the storage account.')\n",
            "",
            "no desc",
            id="no words",
        ),
    ],
)
def test_a_planted_fault_is_found(plant: Plant, file: str, old: str, new: str, problem: str) -> None:
    found = bicep.problems(plant(f"infra/{file}.bicep", old, new) / "infra")
    assert any(problem in each for each in found), found


def array(file: str, name: str) -> set[str]:
    """Return the strings of a variable that is an array."""
    symbol = bicep.BicepFile(ROOT / file).symbols[name]
    return set(bicep.strings(symbol.value))


def test_the_queues_and_tables_of_the_app_exist_before_it_starts() -> None:
    storage = "infra/app/storage.bicep"
    assert array(storage, "queues") == {
        kind.queue for kind in (Backfill, Check, SweepPage, SweptCheck, Sync, Tend)
    }
    assert array(storage, "tables") == {LEDGER, PARTS, STATE}


def test_only_the_grants_need_the_microsoft_graph_extension() -> None:
    needing = {
        path.name for path in Path(ROOT / "infra").rglob("*.bicep") if "\nextension " in path.read_text()
    }
    assert needing == {"grants.bicep"}
