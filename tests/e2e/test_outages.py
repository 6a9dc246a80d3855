"""Services that cannot now: ridden out on the spot, or waited for in the queue, as long as they ask."""

from datetime import datetime

from tests.e2e.story import Json, Story


def _checks(story: Story) -> list[Json]:
    """The batches that ask for nothing but photos' metadata."""
    batches = [each for each in story.history(service="graph") if each["parts"]]
    return [each for each in batches if all(url.endswith("/photo") for _, url, _ in each["parts"])]


def _at(entry: Json) -> float:
    return datetime.fromisoformat(entry["at"]).timestamp()


def test_of_a_throttled_batch_only_the_refused_users_are_asked_again_when_graph_said(story: Story) -> None:
    users = [story.arrive_synced() for _ in range(3)]
    for user in users:
        story.people.draw_photo(user)
    throttled = f"/users/{users[1]}/photo"
    fault = {"part": True, "path": f"{throttled}$", "status": 429, "retry_after": 1}
    story.people.clear_history()
    story.people.arm(fault | {"next": 1})

    story.send_check(*users)
    story.until(lambda: story.settled(users[0]) and story.settled(users[2]), *users)
    story.until(lambda: story.settled(users[1]), users[1])

    first, second = _checks(story)
    assert len(first["parts"]) == 3
    assert second["parts"] == [["GET", throttled, 200]]
    # Where one part is throttled all of Graph is left alone, by the syncs of the others, too.
    assert min(_at(each) for each in story.history(service="graph") if each != first) - _at(first) >= 1
    assert story.people.faults()["early_return"] == []
    assert all(story.shows_its_source(user) for user in users)


def test_a_hiccup_of_sharepoint_is_ridden_out_on_the_spot(story: Story) -> None:
    user = story.arrive_synced()
    story.people.draw_photo(user)
    story.people.arm({"service": "sharepoint", "path": "MThumb", "status": 503, "next": 2})

    answer = story.stage.sync(user).json()

    assert (answer["outcome"], answer["requests"]) == ("synced", 8)
    assert story.settled(user)
    assert story.shows_its_source(user)


def test_sharepoint_asking_for_patience_is_waited_for_in_the_queue(story: Story) -> None:
    user = story.arrive_synced()
    story.people.draw_photo(user)
    story.people.arm({"service": "sharepoint", "path": "LThumb", "status": 429, "retry_after": 5, "next": 1})

    story.send_sync(user)
    story.until(lambda: story.ledger(user).get("dirty") and not story.ledger(user)["claim_until"], user)
    story.until(lambda: story.waiting("photo-syncs") == 1, user, what="only its successor is left")
    assert story.peek("photo-syncs") == []
    story.until(lambda: story.settled(user), user)

    refused, again = [each for each in story.writes(user) if "LThumb" in each["path"]]
    assert (refused["status"], again["status"]) == (429, 200)
    assert _at(again) - _at(refused) >= 5
    assert story.people.faults()["early_return"] == []
    assert story.shows_its_source(user)
    assert story.poisoned() == 0


def test_while_graph_cannot_be_reached_the_check_stays_in_its_queue(story: Story) -> None:
    user = story.arrive_synced()
    story.people.draw_photo(user)
    story.people.arm({"service": "graph", "drop": True})

    story.send_check(user)
    story.until(lambda: "check.deferred" in story.log, what="the check is put off")
    story.until(lambda: story.waiting("photo-checks") == 1, what="only its successor is left")

    assert story.peek("photo-checks") == []
    assert story.poisoned() == 0
    assert story.ledger(user)["outcome"] == "synced"
    assert set(story.closed()) == {"graph"}


def test_graph_hanging_up_in_the_middle_of_an_answer_is_asked_again(story: Story) -> None:
    user = story.arrive_synced()
    story.people.draw_photo(user)
    story.people.arm({"service": "graph", "path": "batch", "truncate": True, "next": 1})

    answer = story.stage.sync(user).json()

    assert (answer["outcome"], answer["requests"]) == ("synced", 7)
    assert story.shows_its_source(user)
