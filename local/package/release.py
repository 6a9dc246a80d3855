"""What a release says of itself: its version and its changes."""

import re


class NotReleasable(Exception):
    """The tag, the version and the changelog do not belong together; the message says what to do."""


def release_notes(tag: str, version: str, changelog: str) -> str:
    """Return the changelog's section of *version*.

    Raises:
        NotReleasable: the tag is not `v` and the version, or the section is missing or empty.
    """
    if tag != f"v{version}":
        raise NotReleasable(f"the tag {tag} is not v{version}: VERSION in shared/settings.py says {version}")
    heading = rf"^## \[?{re.escape(version)}\]?(?: [^\n]*)?$"
    section = re.search(rf"{heading}\n(.*?)(?=^## |\Z)", changelog, re.MULTILINE | re.DOTALL)
    if section is None or not section[1].strip():
        raise NotReleasable(f"CHANGELOG.md has no section '## {version}', or it is empty")
    return section[1].strip() + "\n"
