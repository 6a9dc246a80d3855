"""An Azure CLI of three commands, whose answers are files."""

import json
import sys
from pathlib import Path

_PROGRAM = """#!{python} -I
import pathlib, sys
folder = pathlib.Path(__file__).parent
words = sys.argv[1:]
with (folder / "calls").open("a") as calls:
    calls.write(" ".join(words) + "\\n")
name = "token" if words[:2] == ["account", "get-access-token"] else "keys"
if (folder / "error").exists():
    sys.exit((folder / "error").read_text())
print((folder / name).read_text())
"""


class AzureCli:
    """An executable `az` in `folder`, for `PATH`."""

    def __init__(self, folder: Path, directory: str) -> None:
        self.folder = folder
        self.directory = directory
        program = folder / "az"
        program.write_text(_PROGRAM.format(python=sys.executable))
        program.chmod(0o755)

    def sign_in(self, token: str) -> None:
        """Answer this token from now on."""
        self.answer(json.dumps({"accessToken": token, "tenant": self.directory, "tokenType": "Bearer"}))

    def answer(self, text: str) -> None:
        """Answer this text for a token."""
        (self.folder / "token").write_text(text)

    def hold_keys(self, key: str) -> None:
        """Answer this host key."""
        (self.folder / "keys").write_text(json.dumps({"functionKeys": {"default": key}, "masterKey": "m"}))

    def fail(self, text: str) -> None:
        """End with this error instead."""
        (self.folder / "error").write_text(text)

    def remove(self) -> None:
        """Uninstall it."""
        (self.folder / "az").unlink()

    @property
    def calls(self) -> list[str]:
        """The arguments of each call."""
        return (self.folder / "calls").read_text().splitlines()
