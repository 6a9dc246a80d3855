"""The bill of materials of a release: every package that is deployed, as CycloneDX."""

import json
import os
import subprocess
import sys
from pathlib import Path


def write_sbom(root: Path, version: str, target: Path) -> None:
    """Write the bill of materials of requirements.txt; needs the network the first time.

    cyclonedx-py runs in an environment of its own, because its `chardet` would change how `requests` decodes.

    Raises:
        CalledProcessError: the tool failed; its own message is on standard error.
    """
    uv = [str(Path(sys.executable).with_name("uv")), "run", "--quiet", "--isolated", "--no-project"]
    tool = [*uv, "--with-requirements", "requirements-release.txt", "cyclonedx-py", "requirements"]
    options = ["--pyproject", "pyproject.toml", "--output-reproducible", "requirements.txt"]
    # It warns that requirements.txt does not say which package needs which.
    environment = os.environ | {"PYTHONWARNINGS": "ignore"}
    done = subprocess.run(  # noqa: S603 - a fixed command
        [*tool, *options], cwd=root, env=environment, check=True, stdout=subprocess.PIPE
    )
    document = json.loads(done.stdout)
    document["metadata"]["component"]["version"] = version  # dynamic in pyproject.toml
    target.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
