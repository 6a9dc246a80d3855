"""How the host starts, drains and ends."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from functools import partial
from urllib.parse import urlsplit

import pytest
import requests
from azure.storage.queue import QueueServiceClient

from local.azurite import Azurite, AzuriteError
from local.host.process import ROOT, HostDiedError, HostProcess


def call(url: str) -> threading.Thread:
    """Begin a request; the answer becomes an attribute of the thread."""
    thread = threading.Thread(target=lambda: setattr(thread, "answer", requests.get(url, timeout=20)))
    thread.start()
    return thread


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_a_signal_lets_running_requests_and_messages_finish(start, notes, eventually, number):
    own = start()
    requests.post(f"{own.url}/api/send_many", json=['{"job": {"mark": "last", "seconds": 1}}'], timeout=5)
    request = call(f"{own.url}/api/wait?seconds=1")
    eventually(lambda: notes.of("work", "last") and notes.of("waiting"))

    os.kill(own.pid, number)

    assert own.wait(10) == 0
    request.join(10)
    assert request.answer.status_code == 200
    assert request.answer.headers["connection"] == "close"
    assert len(notes.of("worked", "last")) == 1
    assert own.log.rstrip().endswith("Drained")


def test_a_draining_host_accepts_no_more_requests(start, notes, eventually):
    own = start()
    idle = requests.Session()
    idle.get(f"{own.url}/api/files/a", timeout=5).raise_for_status()
    request = call(f"{own.url}/api/wait?seconds=1")
    eventually(lambda: notes.of("waiting"))

    os.kill(own.pid, signal.SIGTERM)
    eventually(lambda: "Draining: 1 calls under way" in own.log)
    with pytest.raises(requests.ConnectionError):
        eventually(lambda: idle.get(f"{own.url}/api/files/a", timeout=5).status_code != 200)
    idle.close()

    assert own.wait(10) == 0
    request.join(10)
    assert request.answer.status_code == 200


@pytest.fixture
def stuck(start, notes, eventually):
    """Start a host with a call that does not end, and whose client gets no answer."""
    calls: list[threading.Thread] = []

    def lose(url: str) -> None:
        with pytest.raises(requests.ConnectionError):
            requests.get(url, timeout=20)

    def begin(**options: float) -> HostProcess:
        own = start(**options)
        calls.append(threading.Thread(target=lose, args=(f"{own.url}/api/wait?seconds=60",)))
        calls[-1].start()
        eventually(lambda: notes.of("waiting"))
        return own

    yield begin
    for each in calls:
        each.join(10)


def test_a_drain_that_takes_too_long_is_abandoned_with_1(stuck):
    own = stuck(drain=0.2)

    assert own.stop() == 1
    assert "Not drained after 0.2 s, abandoned: wait (" in own.log


def test_a_second_signal_ends_the_host_at_once(stuck, eventually):
    own = stuck()

    os.kill(own.pid, signal.SIGINT)
    eventually(lambda: "Draining" in own.log)
    os.kill(own.pid, signal.SIGINT)

    assert own.wait(5) == 128 + signal.SIGINT


IGNORE_SIGINT = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_IGN)
os.execv(sys.executable, [sys.executable, "-m", "local.host", *sys.argv[1:]])
"""


def test_sigint_drains_a_background_job_and_standard_output_is_the_ready_line_alone(app_dir, environment):
    """A shell starts background jobs with SIGINT ignored."""
    command = [sys.executable, "-c", IGNORE_SIGINT, f"--app={app_dir}", "--key=master=m", "--key=keyed=k"]
    env = {**os.environ, **environment}
    devnull = subprocess.DEVNULL
    with subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=devnull) as process:
        ready = json.loads(process.stdout.readline())
        requests.get(f"{ready['url']}/api/wait?seconds=0", timeout=5).raise_for_status()  # it prints
        process.send_signal(signal.SIGINT)

        assert process.wait(10) == 0
        assert process.stdout.read() == b""
    assert ready["url"].startswith("http://127.0.0.1:")
    assert (ready["keys"]["master"], ready["function_keys"]["keyed"]) == ("m", "k")
    assert len(ready["keys"]["default"]) > 40


def test_keys_are_random_in_every_run_unless_given(start):
    one, two = start(keys={"default": "fixed"}), start(keys={"default": "fixed"})
    assert one.keys["default"] == two.keys["default"] == "fixed"
    assert one.keys["master"] != two.keys["master"]
    assert requests.get(f"{one.url}/api/keyed", params={"code": "fixed"}, timeout=5).text == "in"


def test_the_host_listens_on_127_0_0_1_alone(host):
    # On Linux, a socket bound to every address accepts connections to all of 127.0.0.0/8.
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", urlsplit(host.url).port), timeout=2)


def test_with_tls_the_host_serves_https_and_its_url_says_so(start, certificates):
    own = start(tls=certificates.host_certificate)

    seen = requests.get(f"{own.url}/api/echo/me", timeout=5, verify=str(certificates.ca)).json()

    assert own.url.startswith("https://127.0.0.1:")
    assert seen["url"] == f"{own.url}/api/echo/me"
    assert f"https://{seen['hostname']}" == own.url


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["--port", "PORT"], id="a port that is taken"),
        pytest.param(["--tls", "none.pem", "none.pem"], id="a certificate that does not exist"),
    ],
)
def test_a_port_or_certificate_that_cannot_be_used_is_a_problem(environment, run_host, arguments):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        answer = run_host(*(each.replace("PORT", port) for each in arguments), env=environment)

    assert (answer.returncode, answer.stdout) == (1, "")
    assert answer.stderr.startswith("problem: cannot listen on port ")


def test_a_host_that_ends_before_it_is_ready_is_an_error_with_its_log(tmp_path):
    (tmp_path / "host.json").write_text('{"version": "2.0"}')
    (tmp_path / "function_app.py").write_text("raise RuntimeError('not today')")

    with pytest.raises(HostDiedError, match=r"(?s)exit status 1.*RuntimeError: not today"):
        HostProcess.start(tmp_path, {})


def test_a_storage_outage_is_logged_and_fails_outputs_until_it_ends(
    tmp_path, start, notes, environment, eventually
):
    with Azurite(tmp_path / "storage") as own_storage:
        own = start(env={"AzureWebJobsStorage": own_storage.connection_string})
        send = partial(requests.post, f"{own.url}/api/send_many", timeout=20)
        send(json=['{"job": {"mark": "before"}}']).raise_for_status()
        eventually(lambda: notes.of("worked", "before"))

        own_storage.stop()
        eventually(lambda: "cannot be read, trying again" in own.log)
        assert send(json=["{}"]).status_code == 500
        assert requests.get(f"{own.url}/api/files/a", timeout=5).status_code == 200

        own_storage.start()
        eventually(lambda: "can be read again" in own.log)
        send(json=['{"job": {"mark": "after"}}']).raise_for_status()
        eventually(lambda: notes.of("worked", "after"))
        assert own.stop() == 0
        assert own.log.count(f"The queue {environment['JOBS']} can be read again") == 1


def test_a_host_starts_and_stops_during_a_storage_outage(start):
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    account = "DefaultEndpointsProtocol=http;AccountName=a;AccountKey=a2V5;"
    endpoints = f"QueueEndpoint=http://127.0.0.1:{port}/a;TableEndpoint=http://127.0.0.1:{port}/a;"
    own = start(env={"AzureWebJobsStorage": account + endpoints})

    assert requests.get(f"{own.url}/api/files/a", timeout=5).status_code == 200
    assert own.stop() == 0


class TestAzurite:
    """The storage emulator."""

    def test_a_restart_keeps_ports_and_data_on_disk(self, tmp_path):
        with Azurite(tmp_path) as storage:
            before = storage.connection_string
            with QueueServiceClient.from_connection_string(before) as client:
                client.create_queue("kept").send_message("still here")
                storage.stop()
                storage.start()
                assert client.get_queue_client("kept").receive_message().content == "still here"
            assert storage.connection_string == before

    def test_without_node_modules_the_error_says_what_to_run(self, tmp_path):
        with pytest.raises(AzuriteError, match="npm ci"):
            Azurite(program=tmp_path / "azurite.js").start()

    def test_a_program_that_ends_at_once_is_an_error_with_its_output(self, tmp_path):
        program = tmp_path / "azurite.js"
        program.write_text("console.log('no room'); process.exit(4)")

        with pytest.raises(AzuriteError, match="ended with 4: no room"):
            Azurite(program=program).start()
