"""The app, with a host.json for the impatient."""

import json
from pathlib import Path

from local.stage import ROOT


def brisk_app(directory: Path, *, retry_after: int = 30) -> Path:
    """A copy of the app for impatient tests.

    Idle queues are looked at every tenth of a second instead of two, and messages that failed come back after
    `retry_after` seconds. The rest of host.json, and the app itself, are as they are.
    """
    for name in ("function_app.py", "shared"):
        (directory / name).symlink_to(ROOT / name)
    host = json.loads((ROOT / "host.json").read_text())
    host["extensions"]["queues"] |= {
        "maxPollingInterval": "00:00:00.1",
        "visibilityTimeout": f"00:00:{retry_after:02}",
    }
    (directory / "host.json").write_text(json.dumps(host))
    return directory
