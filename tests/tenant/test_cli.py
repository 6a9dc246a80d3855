"""`python -m local.tenant` as a process of its own."""

import contextlib
import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local.tenant.admin.client import TenantClient

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-W", "error", "-m", "local.tenant"]


def refuse(*options: str) -> subprocess.CompletedProcess[str]:
    """Start the tenant with options that it does not accept."""
    return subprocess.run(
        [*COMMAND, *options], cwd=ROOT, capture_output=True, text=True, timeout=30, check=False
    )


@contextlib.contextmanager
def running(*options: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """Start the tenant and yield it with its ready line; kill it if it still runs afterwards."""
    with subprocess.Popen(
        [*COMMAND, *options], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            yield process, json.loads(process.stdout.readline())
        finally:
            process.kill()


def test_the_ready_line_has_all_that_an_app_needs() -> None:
    with running("--organisation", "fabrikam", "--people", "2", "--seed", "7") as (_, ready):
        assert ready["ready"] is True
        assert ready["settings"]["SHAREPOINT_HOST"] == "fabrikam.sharepoint.com"
        assert ready["settings"]["HTTPS_PROXY"] == ready["proxy"]
        assert ready["settings"]["REQUESTS_CA_BUNDLE"] == ready["ca"]
        assert Path(ready["ca"]).read_text().startswith("-----BEGIN CERTIFICATE-----")
        with TenantClient(ready["admin"]) as admin:
            assert admin.settings() == {key: value for key, value in ready.items() if key != "ready"}
            assert len(admin.users()) == 2


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_a_signal_ends_the_tenant_cleanly(number) -> None:
    with running() as (process, ready):
        with TenantClient(ready["admin"]) as admin:
            admin.add()
            process.send_signal(number)
            assert process.wait(10) == 0
        assert process.stderr is not None
        assert process.stderr.read() == ""
        assert not Path(ready["ca"]).parent.exists()


def test_a_port_in_use_is_reported_and_a_free_one_is_used() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        refused = refuse("--port", port)
    assert refused.returncode == 1
    assert refused.stdout == ""
    assert "cannot start" in refused.stderr
    assert "Traceback" not in refused.stderr
    with running("--port", port) as (_, ready):
        assert ready["proxy"] == f"http://127.0.0.1:{port}"


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        pytest.param(["--organisation", "Contoso Ltd"], "lower-case letters and digits", id="organisation"),
        pytest.param(["--port", "70000"], "port must be", id="port"),
        pytest.param(["--people", "many"], "invalid int", id="people"),
    ],
)
def test_an_invalid_option_is_refused_in_one_line(options, reason) -> None:
    refused = refuse(*options)
    assert refused.returncode != 0
    assert reason in refused.stderr
    assert "Traceback" not in refused.stderr
