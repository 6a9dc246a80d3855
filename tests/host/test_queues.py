"""Queue triggers and queue outputs."""

import json
import shutil
import threading
import time
from pathlib import Path

import pytest
import requests

from local.host.process import HostProcess


def post_job(host: HostProcess, body: str) -> None:
    requests.post(f"{host.url}/api/send_many", json=[body], timeout=5).raise_for_status()


def test_each_string_of_a_list_becomes_an_unchanged_message(web, shared_notes, eventually):
    bodies = [json.dumps({"job": {"mark": "many", "number": number}}) for number in range(3)]

    assert web.post("/api/send_many", json=bodies).status_code == 202
    seen = eventually(lambda: len(found := shared_notes.of("worked", "many")) == 3 and found)
    assert sorted(each["body"] for each in seen) == bodies
    assert {each["tries"] for each in seen} == {1}


@pytest.fixture
def with_options(app_dir, tmp_path):
    """The shared app with other queue options in its host.json."""

    def change(**options: object) -> Path:
        copy = tmp_path / "app"
        shutil.copytree(app_dir, copy)
        content = json.loads((copy / "host.json").read_text())
        content["extensions"]["queues"] |= options
        (copy / "host.json").write_text(json.dumps(content))
        return copy

    return change


def test_an_output_wakes_the_listener_of_its_queue(start, with_options, eventually):
    own = start(with_options(maxPollingInterval="01:00:00"))

    # After this, the waits between empty polls exceed three seconds.
    requests.get(f"{own.url}/api/wait?seconds=4", timeout=10).raise_for_status()
    requests.post(f"{own.url}/api/send_many", json=["{}"], timeout=5).raise_for_status()
    sent = time.monotonic()
    eventually(lambda: "Executed 'Functions.work' (Succeeded" in own.log)
    assert time.monotonic() - sent < 2


def test_many_concurrent_outputs_have_enough_connections(host, web, shared_notes, eventually):
    bodies = [json.dumps({"job": {"mark": "burst", "number": number, "seconds": 0.1}}) for number in range(5)]
    threads = [
        threading.Thread(target=web.post, args=("/api/send_many",), kwargs={"json": bodies})
        for _ in range(24)
    ]
    for each in threads:
        each.start()
    for each in threads:
        each.join()

    eventually(lambda: len(shared_notes.of("worked", "burst")) == 120)
    assert "pool is full" not in host.log


@pytest.mark.usefixtures("host")
def test_a_returned_string_goes_to_the_return_queue_in_any_case(read, send, queues, eventually):
    queues.create_queue("chain-in")
    queues.create_queue("chain-out")
    send("chain-in", "link")

    assert eventually(lambda: read("chain-out")) == ["chained link"]


def test_an_output_that_only_looks_like_json_fails_the_call(web, host, eventually):
    assert web.post("/api/send_one", data="{broken}").status_code == 500
    eventually(lambda: "Error while handling parameter job:" in host.log)


def test_an_output_too_large_for_a_queue_fails_the_call(web):
    assert web.post("/api/send_bytes", data=b"x" * 70_000).status_code == 500
    assert web.post("/api/send_bytes", data=b"x" * 40_000).status_code == 202


def test_a_failing_message_is_retried_at_once_and_poisoned_after_the_last_try(web, shared_notes, eventually):
    web.post("/api/send_many", json=['{"job": {"mark": "hopeless", "fails": 9}}'])

    (buried,) = eventually(lambda: shared_notes.of("bury", "hopeless"))
    assert [each["tries"] for each in shared_notes.of("work", "hopeless")] == [1, 2, 3]
    assert buried["tries"] == 1
    assert shared_notes.of("worked", "hopeless") == []


def test_a_message_in_another_encoding_is_poisoned_without_a_call(host, queues, eventually):
    with queues.get_queue_client("shared-jobs") as client:
        client.send_message("***")

        eventually(lambda: "cannot be decoded" in host.log)
        eventually(lambda: client.get_queue_properties().approximate_message_count == 0)


def test_a_failing_message_is_poisoned_by_its_last_try_not_by_one_more(
    start, notes, with_options, eventually
):
    own = start(with_options(visibilityTimeout="01:00:00", maxDequeueCount=1))
    post_job(own, '{"job": {"mark": "one try", "fails": 9}}')

    eventually(lambda: notes.of("bury", "one try"))
    assert len(notes.of("work", "one try")) == 1


def test_a_failing_message_is_retried_after_the_visibility_timeout(start, notes, with_options, eventually):
    own = start(with_options(visibilityTimeout="00:00:01"))
    post_job(own, '{"job": {"mark": "later", "fails": 1}}')

    eventually(lambda: notes.of("worked", "later"))
    first, second = notes.of("work", "later")
    assert second["at"] - first["at"] >= 0.9
    assert [first["tries"], second["tries"]] == [1, 2]


def test_a_poison_queue_has_no_poison_queue_and_its_failures_are_retried_after_the_lease(
    start, notes, queues, environment, send, eventually
):
    poison = environment["JOBS"] + "-poison"
    queues.create_queue(poison)
    send(poison, "unburied")

    own = start(message_lease=1)

    eventually(lambda: [each["tries"] for each in notes.of("bury")] == [1, 2])
    first, second = (each["at"] for each in notes.of("bury"))
    assert second - first >= 0.9
    assert f"{poison}-poison" not in {each.name for each in queues.list_queues()}
    assert "Moving message" not in own.log


def test_a_message_received_too_often_is_not_run_even_from_a_poison_queue(
    start, notes, queues, environment, send, eventually
):
    poison = environment["JOBS"] + "-poison"
    queues.create_queue(poison)
    send(poison, "worn out")
    with queues.get_queue_client(poison) as client:
        for _ in range(3):
            (message,) = client.receive_messages()
            client.update_message(message, visibility_timeout=0)
    send(poison, "fresh")

    own = start()
    eventually(lambda: notes.of("bury", "fresh"))
    own.stop()

    assert notes.of("bury", "worn out") == []


def test_a_body_with_a_wrong_dequeue_count_is_poisoned_without_a_call(web, shared_notes, host, eventually):
    web.post("/api/send_many", json=['{"dequeueCount": "abc", "mark": "unreadable"}'])

    eventually(lambda: "Moving message to queue 'shared-jobs-poison'" in host.log)
    assert shared_notes.of("work", "unreadable") == []


def test_a_disabled_queue_function_receives_no_messages(web, queues, send, read, shared_notes, eventually):
    queues.create_queue("silent")
    send("silent", "stay")
    web.post("/api/send_many", json=['{"job": {"mark": "other queues are read"}}'])

    eventually(lambda: shared_notes.of("worked", "other queues are read"))
    assert read("silent") == ["stay"]


def test_a_message_that_runs_longer_than_its_lease_is_delivered_once(start, notes, eventually):
    own = start(message_lease=1)
    post_job(own, '{"job": {"mark": "long", "seconds": 2}}')

    (done,) = eventually(lambda: notes.of("worked", "long"))
    assert done["tries"] == 1
    assert own.stop() == 0
    assert len(notes.of("work", "long")) == 1


def test_a_message_of_a_killed_host_is_delivered_again_after_its_lease(start, notes, eventually):
    first = start(message_lease=1)
    post_job(first, '{"job": {"mark": "crash", "seconds": 1}}')
    eventually(lambda: notes.of("work", "crash"))
    first.kill()
    assert notes.of("worked", "crash") == []

    start(message_lease=1)

    (done,) = eventually(lambda: notes.of("worked", "crash"))
    assert done["tries"] == 2


def test_a_listener_waits_for_its_queue_to_be_created(start, notes, queues, environment, send, eventually):
    own = start()
    requests.get(f"{own.url}/api/wait?seconds=0.5", timeout=5).raise_for_status()  # it polls meanwhile
    assert environment["JOBS"] not in {each.name for each in queues.list_queues()}
    assert "cannot be read" not in own.log

    queues.create_queue(environment["JOBS"])
    send(environment["JOBS"], "{}")

    eventually(lambda: notes.of("worked"))
