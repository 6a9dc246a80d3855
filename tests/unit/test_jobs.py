"""Queue messages: what this app wrote is read again, and anything else is refused."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.errors import NotOurs
from shared.jobs import (
    LONGEST_LIFE,
    QUEUES,
    USERS_A_CHECK,
    Backfill,
    Check,
    Job,
    SweepPage,
    SweptCheck,
    Sync,
    Tend,
    pack,
    read,
    write,
)
from shared.users import object_id

PROPERTY = settings(deadline=None)  # a slow machine is not a counterexample

USER = "0123abcd-1111-2222-3333-444455556666"
OTHER = "fedcba98-1111-2222-3333-444455556666"
LARGEST_MESSAGE = 48 * 1024  # bytes: a queue takes 64 KiB, of which base64 takes a quarter

IDS = st.uuids().map(str)
TIMES = st.floats(0, 1e11, exclude_max=True)
WHYS = st.sampled_from(["notified", "rechecked", "swept"])
CAUSES = st.sampled_from(["notified", "rechecked", "swept", "asked", "repaired"])
COMMON = {
    "seen": TIMES,
    "born": TIMES,
    "tries": st.integers(0, 100),
    "force": st.booleans(),
}
SWEEP = "20270115T080000-0a1b"
SWEEPS = st.from_regex(r"[0-9]{8}T[0-9]{6}-[0-9a-f]{4}", fullmatch=True)
PARTS = st.builds(lambda page, number: f"{page:05}-{number:03}", st.integers(0, 99_999), st.integers(0, 999))


def checks(kind: type[Check]) -> st.SearchStrategy[Check]:
    users = st.lists(IDS, min_size=1, max_size=USERS_A_CHECK, unique=True).map(tuple)
    looks = st.builds(kind, users=users, part=st.none() | st.tuples(SWEEPS, PARTS), why=WHYS, **COMMON)
    found = ("uCnMrGsF" * 3)[:USERS_A_CHECK]
    told = looks.map(lambda job: replace(job, letters=found[: len(job.users)]) if job.part else job)
    return looks | told


CHECKS = checks(Check) | checks(SweptCheck)
SYNCS = st.sampled_from([Sync, Backfill]).flatmap(
    lambda kind: st.builds(kind, user=IDS, cause=CAUSES, removal=st.booleans(), slot=TIMES, **COMMON)
)
PAGES = st.builds(SweepPage, sweep=SWEEPS, page=st.integers(0, 99_999), born=TIMES)
TENDS = st.builds(
    Tend,
    event=st.sampled_from(["reauthorizationRequired", "subscriptionRemoved", "missed"]),
    subscription=IDS,
    born=TIMES,
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


def a_check(**changed: Any) -> dict[str, Any]:
    job = {"users": [USER], "why": "notified", "seen": 1.0, "born": 2.0, "tries": 0, "force": False}
    return {**job, **changed}


def a_sync(**changed: Any) -> dict[str, Any]:
    job = {"user": USER, "cause": "notified", "seen": 1.0, "born": 2.0, "tries": 0, "force": False}
    return {**job, **changed}


def a_page(**changed: Any) -> dict[str, Any]:
    return {"sweep": SWEEP, "page": 3, "born": 2.0, **changed}


def a_tend(**changed: Any) -> dict[str, Any]:
    return {"event": "missed", "subscription": USER, "born": 2.0, **changed}


def body(job: object, v: object = 1) -> str:
    return json.dumps({"v": v, "job": job})


# --- what is written is read ---


@PROPERTY
@given(CHECKS | SYNCS | PAGES | TENDS)
def test_a_job_survives_its_message(job: Job) -> None:
    assert read(type(job), write(job)) == job
    assert read(type(job), write(job).encode()) == job


@PROPERTY
@given(CHECKS | SYNCS | PAGES | TENDS)
def test_a_message_nests_its_job_so_that_no_field_overwrites_the_triggers_own(job: Job) -> None:
    assert json.loads(write(job)).keys() == {"v", "job"}


@PROPERTY
@given(CHECKS)
def test_the_fullest_message_fits_a_queue(job: Check) -> None:
    assert len(write(job).encode()) <= LARGEST_MESSAGE


@PROPERTY
@given(CHECKS | SYNCS | PAGES | TENDS)
def test_no_kind_of_job_is_read_as_another(job: Job) -> None:
    for kind in QUEUES.values():
        if not (issubclass(kind, type(job)) or isinstance(job, kind)):
            with pytest.raises(NotOurs):
                read(kind, write(job))


def test_each_kind_has_a_queue_of_its_own() -> None:
    assert {
        "photo-checks": Check,
        "photo-sweep-checks": SweptCheck,
        "photo-syncs": Sync,
        "photo-backfill": Backfill,
        "photo-sweeps": SweepPage,
        "photo-subscription": Tend,
    } == QUEUES
    assert all(name == kind.queue for name, kind in QUEUES.items())


def test_what_a_sweep_queues_is_read_as_what_a_sweep_queued() -> None:
    assert type(read(SweptCheck, body(a_check()))) is SweptCheck
    assert type(read(Backfill, body(a_sync()))) is Backfill


def test_a_sweep_has_a_lane_of_its_own() -> None:
    assert (Sync.lane, Backfill.lane) == ("live", "backfill")


def test_what_a_job_does_not_need_may_be_left_out() -> None:
    assert read(Sync, body(a_sync())) == Sync(USER, "notified", 1.0, 2.0, removal=False, slot=0.0)
    assert read(Check, body(a_check())) == Check((USER,), "notified", 1.0, 2.0, part=None)


def test_object_ids_are_lower_case_and_no_user_comes_twice() -> None:
    job = read(Check, body(a_check(users=[USER.upper(), OTHER, USER])))

    assert job.users == (USER, OTHER)


def test_whole_seconds_are_times_too() -> None:
    job = read(Sync, body(a_sync(seen=1, born=2)))

    assert (job.seen, job.born) == (1.0, 2.0)
    assert isinstance(job.seen, float)


# --- nothing else is read ---


@pytest.mark.parametrize(
    "message",
    [
        pytest.param("", id="empty"),
        pytest.param("nonsense", id="no JSON"),
        pytest.param("null", id="null"),
        pytest.param("[]", id="a list"),
        pytest.param('"text"', id="a text"),
        pytest.param("{}", id="an empty object"),
        pytest.param('{"v": 1}', id="no job"),
        pytest.param(json.dumps({"job": a_sync()}), id="no version"),
        pytest.param(json.dumps(a_sync()), id="a job that is not nested"),
        pytest.param(json.dumps({"v": 1, "job": a_sync(), "id": "x"}), id="something beside the job"),
        pytest.param(body([a_sync()]), id="a list of jobs"),
        pytest.param(body(None), id="null as job"),
        pytest.param(body(a_sync(), v=2), id="the version after this"),
        pytest.param(body(a_sync(), v=0), id="the version before this"),
        pytest.param(body(a_sync(), v="1"), id="the version as text"),
        pytest.param(body(a_sync(), v=True), id="true, which equals 1"),
        pytest.param(body(a_sync(), v=1.0), id="1.0, which equals 1"),
        pytest.param("[" * 200_000, id="nested deeper than any parser goes"),
        pytest.param('{"v": 1, "job": ' + "[" * 100_000 + "]" * 100_000 + "}", id="a job that is all depth"),
        pytest.param(body(a_sync()) + "x", id="something after it"),
        pytest.param('{"v": ' + "1" * 5000 + ', "job": {}}', id="a number longer than Python reads"),
        pytest.param(b"\xff\xfe\xfa", id="bytes that are no text"),
        pytest.param(b"\x00" * 100, id="zeros"),
    ],
)
def test_a_body_that_is_no_message_of_this_version_is_not_ours(message: str | bytes) -> None:
    with pytest.raises(NotOurs):
        read(Sync, message)


BAD_TIMES = [
    pytest.param(None, id="none"),
    pytest.param("1.0", id="a text"),
    pytest.param(True, id="a boolean"),
    pytest.param(-1.0, id="before 1970"),
    pytest.param(1e11, id="beyond the year 5138"),
    pytest.param(10**4000, id="an integer beyond every float"),
    pytest.param(float("nan"), id="not a number"),
    pytest.param(float("inf"), id="infinity"),
    pytest.param([1.0], id="a list"),
]


@pytest.mark.parametrize("time", BAD_TIMES)
@pytest.mark.parametrize("field", ["seen", "born"])
def test_a_time_is_a_number_of_seconds(field: str, time: object) -> None:
    for kind, job in ((Check, a_check(**{field: time})), (Sync, a_sync(**{field: time}))):
        with pytest.raises(NotOurs):
            read(kind, body(job))


@pytest.mark.parametrize("value", [None, 0, 1, "true", []])
def test_a_job_is_a_removal_or_not(value: object) -> None:
    with pytest.raises(NotOurs):
        read(Sync, body(a_sync(removal=value)))


@pytest.mark.parametrize("time", BAD_TIMES)
def test_a_minute_begins_at_a_time(time: object) -> None:
    for kind in (Sync, Backfill):
        with pytest.raises(NotOurs):
            read(kind, body(a_sync(slot=time)))


@pytest.mark.parametrize("time", BAD_TIMES)
def test_an_event_arrived_at_a_time(time: object) -> None:
    for kind, job in ((Tend, a_tend(born=time)), (SweepPage, a_page(born=time))):
        with pytest.raises(NotOurs):
            read(kind, body(job))


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"tries": None}, id="tries: none"),
        pytest.param({"tries": -1}, id="tries: negative"),
        pytest.param({"tries": 101}, id="tries: beyond the limit"),
        pytest.param({"tries": 10**4000}, id="tries: huge"),
        pytest.param({"tries": 1.0}, id="tries: a decimal"),
        pytest.param({"tries": True}, id="tries: a boolean"),
        pytest.param({"tries": "1"}, id="tries: a text"),
        pytest.param({"force": None}, id="force: none"),
        pytest.param({"force": 1}, id="force: a number"),
        pytest.param({"force": "false"}, id="force: a text, and a true one in Python"),
        pytest.param({"why": None}, id="why: none"),
        pytest.param({"why": "because"}, id="why: unknown"),
        pytest.param({"why": "Notified"}, id="why: in another case"),
        pytest.param({"why": ["notified"]}, id="why: a list"),
        pytest.param({"etag": 1}, id="an unknown field"),
        pytest.param({"lane": "live"}, id="another field that only the class has"),
        pytest.param({"queue": "photo-syncs"}, id="a field that only the class has"),
        pytest.param({"": ""}, id="a field without a name"),
    ],
)
def test_a_field_that_checks_and_syncs_share_is_read_strictly(changed: dict[str, Any]) -> None:
    both = {Check: a_check, SweptCheck: a_check, Sync: a_sync, Backfill: a_sync}
    for kind, job in both.items():
        with pytest.raises(NotOurs):
            read(kind, body(job(**changed)))


@pytest.mark.parametrize(
    ("kind", "changed"),
    [
        pytest.param(Check, {"slot": 1.0}, id="a check reserves no minute"),
        pytest.param(Sync, {"part": [SWEEP, "00000-000"]}, id="a sync answers no sweep"),
    ],
)
def test_what_only_the_other_kind_has_is_unknown(kind: type[Check], changed: dict[str, Any]) -> None:
    job = a_check(**changed) if kind is Check else a_sync(**changed)
    with pytest.raises(NotOurs):
        read(kind, body(job))


@pytest.mark.parametrize("kind", [Check, Sync, SweepPage, Tend])
def test_no_field_may_be_missing(kind: type[Check] | type[Sync] | type[Tend]) -> None:
    whole = {Check: a_check(), Sync: a_sync(), SweepPage: a_page(), Tend: a_tend()}[kind]
    for field in whole:
        with pytest.raises(NotOurs):
            read(kind, body({name: value for name, value in whole.items() if name != field}))


@pytest.mark.parametrize(
    "users",
    [
        pytest.param([], id="no user"),
        pytest.param([USER, None], id="an invalid id"),
        pytest.param([USER, "anna@contoso.com"], id="a UPN"),
        pytest.param([USER, f"{USER}\n"], id="a line break after an id"),
        pytest.param([[USER]], id="a list in the list"),
        pytest.param(USER, id="a text, whose letters are no users"),
        pytest.param({USER: 1}, id="an object"),
        pytest.param([f"{n:08x}-1111-2222-3333-444455556666" for n in range(21)], id="one too many"),
        pytest.param([USER] * 21, id="too many, though the same"),
    ],
)
def test_a_check_names_one_to_twenty_object_ids(users: object) -> None:
    with pytest.raises(NotOurs):
        read(Check, body(a_check(users=users)))


@pytest.mark.parametrize(
    ("part", "read_as"),
    [
        pytest.param(None, None, id="none"),
        pytest.param([SWEEP, "00003-049"], (SWEEP, "00003-049"), id="a sweep and its part"),
        pytest.param([SWEEP, "99999-999"], (SWEEP, "99999-999"), id="the last of all"),
    ],
)
def test_a_check_may_answer_a_part_of_a_sweep(part: object, read_as: object) -> None:
    assert read(SweptCheck, body(a_check(part=part))).part == read_as


@pytest.mark.parametrize(
    "part",
    [
        pytest.param(SWEEP, id="only a sweep"),
        pytest.param([SWEEP], id="a sweep without its part"),
        pytest.param([SWEEP, "00003-049", "x"], id="one too many"),
        pytest.param([], id="nothing in a list"),
        pytest.param({"sweep": SWEEP}, id="an object"),
        pytest.param(False, id="false"),
        pytest.param([SWEEP, 3], id="a number for a key"),
        pytest.param([SWEEP, "3-49"], id="a key that does not sort"),
        pytest.param([SWEEP, "00003-0490"], id="a key too long"),
        pytest.param([SWEEP, "00003-049\n"], id="a line break after the key"),
        pytest.param([SWEEP, "../3-049"], id="a key that no table takes"),
        pytest.param([None, "00003-049"], id="no sweep"),
        pytest.param(["poison", "00003-049"], id="another partition"),
        pytest.param([SWEEP + "\n", "00003-049"], id="a line break after the sweep"),
    ],
)
def test_a_part_is_a_sweep_and_a_key_of_its_own_making(part: object) -> None:
    for kind in (Check, SweptCheck):
        with pytest.raises(NotOurs):
            read(kind, body(a_check(part=part)))


@pytest.mark.parametrize(
    ("letters", "read_as"),
    [pytest.param({}, "", id="a release before"), pytest.param({"letters": "uC"}, "uC", id="two")],
)
def test_a_check_may_bring_what_was_found_to_a_part(letters: dict[str, str], read_as: str) -> None:
    job = a_check(users=[USER, OTHER], part=[SWEEP, "00003-049"], **letters)
    assert read(SweptCheck, body(job)).letters == read_as


@pytest.mark.parametrize(
    ("letters", "part"),
    [
        pytest.param("u", [SWEEP, "00003-049"], id="one too few"),
        pytest.param("uuu", [SWEEP, "00003-049"], id="one too many"),
        pytest.param("u?", [SWEEP, "00003-049"], id="no answer"),
        pytest.param("u\n", [SWEEP, "00003-049"], id="a line break"),
        pytest.param(["u", "u"], [SWEEP, "00003-049"], id="a list"),
        pytest.param(None, [SWEEP, "00003-049"], id="none"),
        pytest.param("uu", None, id="letters without a part"),
    ],
)
def test_what_was_found_is_a_letter_for_each_user_of_a_part(letters: object, part: object) -> None:
    with pytest.raises(NotOurs):
        read(SweptCheck, body(a_check(users=[USER, OTHER], part=part, letters=letters)))


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"sweep": None}, id="no sweep"),
        pytest.param({"sweep": 7}, id="a number for a sweep"),
        pytest.param({"sweep": "20270115"}, id="a day for a sweep"),
        pytest.param({"sweep": SWEEP.upper()}, id="in capitals"),
        pytest.param({"sweep": SWEEP + "/"}, id="what no table takes as a key"),
        pytest.param({"page": None}, id="no page"),
        pytest.param({"page": -1}, id="a page before the first"),
        pytest.param({"page": 3.0}, id="a decimal"),
        pytest.param({"page": True}, id="true, which equals 1"),
        pytest.param({"page": "3"}, id="a text"),
        pytest.param({"next": "https://graph.microsoft.com/v1.0/users"}, id="an address: it is not taken"),
    ],
)
def test_a_page_names_its_sweep_and_its_number(changed: dict[str, Any]) -> None:
    with pytest.raises(NotOurs):
        read(SweepPage, body(a_page(**changed)))


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"event": "exploded"}, id="an unknown event"),
        pytest.param({"event": "Missed"}, id="in another case"),
        pytest.param({"event": ["missed"]}, id="a list"),
        pytest.param({"event": None}, id="none"),
        pytest.param({"subscription": "all"}, id="a subscription with an invalid id"),
        pytest.param({"subscription": None}, id="no subscription"),
        pytest.param({"why": "notified"}, id="a field of the other kinds"),
    ],
)
def test_a_subscription_job_names_an_event_and_a_subscription(changed: dict[str, Any]) -> None:
    with pytest.raises(NotOurs):
        read(Tend, body(a_tend(**changed)))


@PROPERTY
@given(message=JSON, kind=st.sampled_from(list(QUEUES.values())))
def test_no_json_raises_anything_but_that_it_is_not_ours(message: object, kind: type[Sync]) -> None:
    for text in (json.dumps(message), body(message)):
        with pytest.raises(NotOurs):
            read(kind, text)


@PROPERTY
@given(
    changed=st.dictionaries(st.sampled_from([*a_sync(), "slot", "part", "letters", "sweep", "page"]), JSON),
    kind=st.sampled_from([Check, Sync, SweepPage]),
)
def test_a_job_with_anything_in_its_fields_is_one_of_ours_or_not_ours(
    changed: dict[str, Any], kind: type[Check] | type[Sync]
) -> None:
    whole = {Check: a_check(), Sync: a_sync(), SweepPage: a_page()}[kind]
    known = {
        **whole,
        **({"slot": 0} if kind is Sync else {"part": None, "letters": ""} if kind is Check else {}),
    }
    try:
        job = read(kind, body({**whole, **{name: value for name, value in changed.items() if name in known}}))
    except NotOurs:
        return
    assert read(kind, write(job)) == job


@pytest.mark.parametrize(
    "message",
    [
        pytest.param("secret words", id="no JSON"),
        pytest.param(body("secret words"), id="no job"),
        pytest.param(body(a_sync(user="secret words")), id="a value"),
        pytest.param(body(a_sync(**{"secret words": 1})), id="a field's name"),
        pytest.param(body(a_sync(why="secret words")), id="a reason"),
    ],
)
def test_a_refusal_repeats_nothing_of_what_it_refuses(message: str) -> None:
    with pytest.raises(NotOurs) as refusal:
        read(Sync, message)

    assert "secret" not in str(refusal.value)


# --- object ids ---


@pytest.mark.parametrize(
    ("value", "read_as"),
    [
        pytest.param(USER, USER, id="lower case"),
        pytest.param(USER.upper(), USER, id="upper case"),
        pytest.param(
            "0" * 8 + "-0000-0000-0000-" + "0" * 12, "0" * 8 + "-0000-0000-0000-" + "0" * 12, id="nil"
        ),
        pytest.param(f"{{{USER}}}", None, id="in braces"),
        pytest.param(f" {USER}", None, id="a blank before"),
        pytest.param(f"{USER}\n", None, id="a line break after"),
        pytest.param(f"{USER[:-1]}\n", None, id="a line break for a digit"),
        pytest.param(USER.replace("-", ""), None, id="without hyphens"),
        pytest.param(USER.replace("a", "g"), None, id="a letter beyond f"),
        pytest.param(USER.replace("0", "\u0660"), None, id="Arabic digits"),
        pytest.param(USER.replace("0", "\uff10"), None, id="full-width digits"),
        pytest.param(USER.replace("a", "\u0430"), None, id="a Cyrillic letter"),
        pytest.param(USER.replace("-", "\u2010"), None, id="another hyphen"),
        pytest.param(USER[:-1] + "\u0130", None, id="a letter that is two in lower case"),
        pytest.param(USER[:-1] + "\ud800", None, id="half a surrogate pair"),
        pytest.param(USER[:-1] + "\x00", None, id="a zero"),
        pytest.param("a" * 10_000_000, None, id="ten megabytes"),
        pytest.param("", None, id="nothing"),
        pytest.param(USER.encode(), None, id="bytes"),
        pytest.param(None, None, id="none"),
        pytest.param(7, None, id="a number"),
        pytest.param([USER], None, id="a list"),
    ],
)
def test_an_object_id_is_a_guid_in_hexadecimal(value: object, read_as: str | None) -> None:
    assert object_id(value) == read_as


@PROPERTY
@given(st.text() | st.binary() | JSON)
def test_whatever_is_taken_for_an_object_id_is_safe_in_a_url_and_a_table_key(value: object) -> None:
    found = object_id(value)

    assert found is None or (len(found) == 36 and set(found) <= set("0123456789abcdef-"))


# --- packing, and doing it once more ---


@PROPERTY
@given(st.lists(IDS, max_size=70))
def test_packing_keeps_each_user_exactly_once(users: list[str]) -> None:
    packed = pack(users, why="notified", now=7.0)

    assert [user for check in packed for user in check.users] == list(dict.fromkeys(users))
    assert all(1 <= len(check.users) <= USERS_A_CHECK for check in packed)
    assert all((check.seen, check.born, check.tries, check.force) == (7.0, 7.0, 0, False) for check in packed)


@pytest.mark.parametrize(("users", "messages"), [(0, 0), (1, 1), (20, 1), (21, 2), (40, 2), (100, 5)])
def test_twenty_users_go_into_a_message(users: int, messages: int) -> None:
    ids = [f"{n:08x}-1111-2222-3333-444455556666" for n in range(users)]

    assert len(pack(ids, why="notified", now=7.0)) == messages


def test_a_new_job_was_never_tried_is_not_forced_and_neither_reserves_nor_answers_anything() -> None:
    assert Sync(USER, "asked", 1.0, 2.0) == Sync(USER, "asked", 1.0, 2.0, tries=0, force=False, slot=0.0)
    assert Check((USER,), "swept", 1.0, 2.0) == Check(
        (USER,), "swept", 1.0, 2.0, tries=0, force=False, part=None, letters=""
    )


def test_a_job_is_deferred_for_a_day_at_most() -> None:
    assert LONGEST_LIFE == 24 * 3600.0
