"""The app settings: the environment first, then the `Values` of local.settings.json.

As in Azure's configuration, names are case-insensitive.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path

FILE = "local.settings.json"


class SettingsError(Exception):
    """A settings file cannot be used, or a `%NAME%` is not set; the message names it."""


class AppSettings:
    """Named strings.

    Args:
        values: every setting; of two names that differ only in case, the last one counts.
    """

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = {name.lower(): value for name, value in values.items()}

    def get(self, name: str) -> str | None:
        """Return a setting's value, or `None`."""
        return self._values.get(name.lower())

    def names_with_prefix(self, prefix: str) -> set[str]:
        """Return the names that begin with *prefix*, in lower case."""
        return {name for name in self._values if name.startswith(prefix.lower())}

    def resolve(self, text: str) -> str:
        """Replace every `%NAME%` by that setting's value, and return the text.

        Raises:
            SettingsError: a name between percent signs is not set.
        """

        def replace(found: re.Match[str]) -> str:
            value = self.get(found[1])
            if value is None:
                raise SettingsError(f"the setting {found[1]} is not set (used in '{text}')")
            return value

        return re.sub(r"%([^%]+)%", replace, text)

    def disables(self, function: str) -> bool:
        """Return whether `AzureWebJobs.<function>.Disabled` is true (or 1)."""
        # learn.microsoft.com/azure/azure-functions/disable-function
        value = self.get(f"AzureWebJobs.{function}.Disabled") or ""
        return value.strip().lower() in ("true", "1")


def read_file(path: Path) -> dict[str, str]:
    """Read the `Values` of a local.settings.json; return {} if the file does not exist.

    Raises:
        SettingsError: it is not a JSON object, it is encrypted, or a value is not a string.
    """
    if not path.exists():
        return {}
    try:
        content = json.loads(path.read_text("utf-8-sig"))
    except ValueError as error:
        raise SettingsError(f"{path.name} is not valid JSON: {error}") from error
    if not isinstance(content, dict) or not isinstance(content.get("Values", {}), dict):
        raise SettingsError(f"{path.name} must be an object with an object 'Values'")
    if content.get("IsEncrypted"):
        raise SettingsError(f"{path.name} is encrypted; run `func settings decrypt`")
    values = content.get("Values", {})
    wrong = sorted(name for name, value in values.items() if not isinstance(value, str))
    if wrong:
        raise SettingsError(f"{path.name}: these values are not strings: {', '.join(wrong)}")
    return dict(values)
