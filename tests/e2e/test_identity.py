"""A profile is only written if it belongs to this very person, whatever happened to the names."""

from tests.e2e.story import Story


def _files_and_properties(story: Story, user: str) -> tuple[object, object]:
    target = story.people.user(user)["target"]
    return target["files"], target["properties"]


def _upn(story: Story, user: str) -> str:
    return str(story.people.user(user)["upn"])


def test_a_renamed_user_whose_new_name_still_belongs_to_another_person_is_not_written(story: Story) -> None:
    other, renamed = story.add_synced_user(), story.add_synced_user()
    name = _upn(story, other)
    story.people.change(other, upn="someone.else@contoso.onmicrosoft.com")
    story.people.change(renamed, upn=name)
    story.people.draw_photo(renamed)
    before = _files_and_properties(story, other), _files_and_properties(story, renamed)

    answer = story.stage.sync(renamed).json()

    assert (answer["outcome"], answer["reason"]) == (
        "deferred",
        "the profile under this UPN is another person's",
    )
    assert story.writes() == []
    assert (_files_and_properties(story, other), _files_and_properties(story, renamed)) == before
    assert not story.ledger(renamed)["dirty"]

    story.stage.tenant.sharepoint.settle_renames()
    assert story.stage.sync(renamed).json()["outcome"] == "synced"
    assert story.shows_its_source(renamed)
    assert story.ledger(renamed)["upn"] == name
    assert story.shows_its_source(other)
    assert story.people.user(renamed)["target"]["properties"]["msOnline-ObjectId"] == renamed


def test_a_new_user_with_a_recycled_name_does_not_get_the_predecessors_profile(story: Story) -> None:
    predecessor = story.add_synced_user()
    name = _upn(story, predecessor)
    before = _files_and_properties(story, predecessor)
    story.people.change(predecessor, gone=True)
    successor = story.add_user(upn=name)

    answer = story.stage.sync(name).json()

    assert (answer["user"], answer["outcome"]) == (successor, "deferred")
    assert answer["reason"] == "the profile under this UPN is another person's"
    assert story.writes() == []
    assert _files_and_properties(story, predecessor) == before

    story.stage.tenant.sharepoint.settle_renames()
    assert story.stage.sync(successor).json()["outcome"] == "synced"
    assert story.shows_its_source(successor)
