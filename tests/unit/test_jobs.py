"""Queue messages: what this app wrote is read again, and anything else is refused."""

import json
from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.errors import NotOurs
from shared.jobs import (
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
COMMON = {"seen": TIMES, "born": TIMES, "tries": st.integers(0, 100), "force": st.booleans()}
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


TWO = a_check(users=[USER, OTHER])
WHOLE: dict[type, dict[str, Any]] = {Check: TWO, Sync: a_sync(), SweepPage: a_page(), Tend: a_tend()}


def body(job: object, v: object = 1) -> str:
    return json.dumps({"v": v, "job": job})


# --- what is written is read ---


@PROPERTY
@given(CHECKS | SYNCS | PAGES | TENDS)
def test_a_job_survives_its_message_which_fits_a_queue(job: Job) -> None:
    message = write(job)

    assert read(type(job), message) == read(type(job), message.encode()) == job
    assert json.loads(message).keys() == {"v", "job"}  # no field of a job overwrites the trigger's own
    assert len(message.encode()) <= LARGEST_MESSAGE


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
    assert (Sync.lane, Backfill.lane) == ("live", "backfill")


def test_what_a_job_does_not_need_may_be_left_out_and_whole_seconds_are_times() -> None:
    sync, check = read(Backfill, body(a_sync(seen=1))), read(SweptCheck, body(a_check()))
    assert sync == Backfill(USER, "notified", 1.0, 2.0, tries=0, force=False, removal=False, slot=0.0)
    assert check == SweptCheck((USER,), "notified", 1.0, 2.0, tries=0, force=False, part=None, letters="")
    assert isinstance(sync.seen, float)


def test_object_ids_are_lower_case_and_no_user_comes_twice() -> None:
    job = read(Check, body(a_check(users=[USER.upper(), OTHER, USER])))

    assert job.users == (USER, OTHER)


# --- nothing else is read ---


@pytest.mark.parametrize(
    "message",
    [
        pytest.param("", id="empty"),
        pytest.param("nonsense", id="no JSON"),
        pytest.param("null", id="null"),
        pytest.param("{}", id="an empty object"),
        pytest.param('{"v": 1}', id="no job"),
        pytest.param(json.dumps({"job": a_sync()}), id="no version"),
        pytest.param(json.dumps(a_sync()), id="a job that is not nested"),
        pytest.param(json.dumps({"v": 1, "job": a_sync(), "id": "x"}), id="something beside the job"),
        pytest.param(body([a_sync()]), id="a list of jobs"),
        pytest.param(body(None), id="null as job"),
        pytest.param(body(a_sync(), v=2), id="the version after this"),
        pytest.param(body(a_sync(), v="1"), id="the version as text"),
        pytest.param(body(a_sync(), v=True), id="true, which equals 1"),
        pytest.param(body(a_sync(), v=1.0), id="1.0, which equals 1"),
        pytest.param('{"v": 1, "job": ' + "[" * 100_000 + "]" * 100_000 + "}", id="a job that is all depth"),
        pytest.param(body(a_sync()) + "x", id="something after it"),
        pytest.param('{"v": ' + "1" * 5000 + ', "job": {}}', id="a number longer than Python reads"),
        pytest.param(b"\xff\xfe\xfa", id="bytes that are no text"),
    ],
)
def test_a_body_that_is_no_message_of_this_version_is_not_ours(message: str | bytes) -> None:
    with pytest.raises(NotOurs):
        read(Sync, message)


@pytest.mark.parametrize(
    "time",
    [
        pytest.param(None, id="none"),
        pytest.param("1.0", id="a text"),
        pytest.param(True, id="a boolean"),
        pytest.param(-1.0, id="before 1970"),
        pytest.param(1e11, id="beyond the year 5138"),
        pytest.param(10**4000, id="an integer beyond every float"),
        pytest.param(float("nan"), id="not a number"),
        pytest.param([1.0], id="a list"),
    ],
)
def test_a_time_is_a_number_of_seconds(time: object) -> None:
    times = {Check: ("seen", "born"), Sync: ("seen", "born", "slot"), SweepPage: ("born",), Tend: ("born",)}
    for kind, names in times.items():
        for name in names:
            with pytest.raises(NotOurs):
                read(kind, body({**WHOLE[kind], name: time}))


def names_of(kind) -> set[str]:
    return {each.name for each in fields(kind)}


FIELDS: dict[type, dict[str, list[Any]]] = {
    Check: {
        "tries": [None, -1, 101, 1.0, True, "1"],
        "force": [None, 1, "false"],
        "why": [None, "because", "Notified", ["notified"]],
        "users": [
            *([], USER, {USER: 1}, [[USER]], [USER] * 21),
            *([USER, bad] for bad in (None, "anna@contoso.com", f"{USER}\n")),
        ],
        "part": [
            *(SWEEP, [SWEEP], [SWEEP, "00003-049", "x"], [], {"sweep": SWEEP}, False),
            # keys that do not sort, are too long, or that no table takes
            *([SWEEP, key] for key in (3, "3-49", "00003-0490", "00003-049\n", "../3-049")),
            *([sweep, "00003-049"] for sweep in (None, "poison", f"{SWEEP}\n")),
        ],
        "letters": ["uu"],  # without a part
    },
    Sync: {"user": [None, "x"], "cause": [None, "because", "Notified"], "removal": [None, 0, "true"]},
    SweepPage: {
        "sweep": [None, 7, "20270115", SWEEP.upper(), f"{SWEEP}/"],
        "page": [None, -1, 3.0, True, "3"],
    },
    Tend: {"event": [None, "exploded", "Missed", ["missed"]], "subscription": [None, "all"]},
}
UNKNOWN = ("etag", "lane", "queue", "", "next", "slot", "part")


@pytest.mark.parametrize(
    ("kind", "field", "value"),
    [
        *((kind, field, bad) for kind in FIELDS for field, values in FIELDS[kind].items() for bad in values),
        *((kind, name, 1.0) for kind in FIELDS for name in UNKNOWN if name not in names_of(kind)),
        *((Check, "letters", letters) for letters in ("u", "uuu", "u?", "u\n", ["u", "u"], None)),
    ],
)
def test_a_field_with_an_invalid_value_or_an_unknown_name_is_refused(kind, field, value) -> None:
    part = {"part": [SWEEP, "00003-049"]} if field == "letters" and value != "uu" else {}
    with pytest.raises(NotOurs):
        read(kind, body({**WHOLE[kind], **part, field: value}))


@pytest.mark.parametrize("kind", [Check, Sync, SweepPage, Tend])
def test_no_field_may_be_missing(kind: type) -> None:
    for field in WHOLE[kind]:
        with pytest.raises(NotOurs):
            read(kind, body({name: value for name, value in WHOLE[kind].items() if name != field}))


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
def test_a_job_with_anything_in_its_fields_is_one_of_ours_or_not_ours(changed, kind) -> None:
    known = {name: value for name, value in changed.items() if name in names_of(kind)}
    try:
        job = read(kind, body({**WHOLE[kind], **known}))
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
        pytest.param(f"{{{USER}}}", None, id="in braces"),
        pytest.param(f"{USER}\n", None, id="a line break after"),
        pytest.param(USER.replace("-", ""), None, id="without hyphens"),
        pytest.param(USER.replace("a", "g"), None, id="a letter beyond f"),
        pytest.param(USER.replace("0", "\u0660"), None, id="Arabic digits"),
        pytest.param(USER[:-1] + "\u0130", None, id="a letter that is two in lower case"),
        pytest.param(USER[:-1] + "\ud800", None, id="half a surrogate pair"),
        pytest.param("a" * 10_000_000, None, id="ten megabytes"),
        pytest.param(USER.encode(), None, id="bytes"),
        pytest.param(None, None, id="none"),
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
@given(st.lists(IDS, max_size=70).map(lambda users: users + users[:9]))
def test_packing_keeps_each_user_once_in_as_few_messages_as_can_be(users: list[str]) -> None:
    packed, unique = pack(users, why="notified", now=7.0), list(dict.fromkeys(users))

    assert [user for check in packed for user in check.users] == unique
    assert len(packed) == -(-len(unique) // USERS_A_CHECK)
    assert all(len(check.users) <= USERS_A_CHECK == 20 for check in packed)
    assert all((check.seen, check.born, check.tries, check.force) == (7.0, 7.0, 0, False) for check in packed)
