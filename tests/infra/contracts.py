"""Find where the infrastructure and the rest of the project contradict each other."""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

from tests.infra import bicep

BY_PLATFORM = frozenset({"WEBSITE_HOSTNAME"})
"""Read by the app, set by Azure."""

BY_WORKER = frozenset({"PYTHON_THREADPOOL_THREAD_COUNT"})
"""Read by the Functions worker: set everywhere."""

NOT_DEPLOYED = frozenset({"CLIENT_CERTIFICATE", "CLIENT_CERTIFICATE_PASSWORD"})
"""An app in Azure has its identity, so that the vault holds one secret only."""

ONLY_DEPLOYED = frozenset(
    {"APPLICATIONINSIGHTS_AUTHENTICATION_STRING", "APPLICATIONINSIGHTS_CONNECTION_STRING"}
)
"""Read by the Functions host; on one machine nothing is sent."""

ONLY_LOCAL = frozenset({"FUNCTIONS_WORKER_RUNTIME"})
"""Flex Consumption has it in `functionAppConfig`, and refuses it as a setting."""

ROLES = {
    "Key Vault Secrets User": "4633458b-17de-408a-b874-0445c86b69e6",
    "Monitoring Metrics Publisher": "3913510d-42f4-4e42-8a64-420c390055eb",
    "Storage Blob Data Owner": "b7e6dc6d-f1e8-4753-8033-0f276bb0955b",
    "Storage Queue Data Contributor": "974c5e8b-45b9-4653-ba55-5f855dd0fb88",
    "Storage Table Data Contributor": "0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3",
}
"""learn.microsoft.com/azure/role-based-access-control/built-in-roles"""

APPLICATIONS = {
    "graph": "00000003-0000-0000-c000-000000000000",
    "sharePoint": "00000003-0000-0ff1-ce00-000000000000",
}
"""learn.microsoft.com/troubleshoot/entra/entra-id/governance/verify-first-party-apps-sign-in"""

GUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_SETTING = re.compile(r"[A-Z][A-Z0-9_]+|AzureWebJobsStorage\w*")


def settings_problems(root: Path) -> Iterator[str]:
    """Return each setting that one of code, Bicep, sample and README has and another one lacks."""
    read = settings_of_code(root) - BY_PLATFORM | BY_WORKER
    places = {
        "infra": (settings_of_bicep(root), ONLY_DEPLOYED, NOT_DEPLOYED),
        "local.settings.sample.json": (settings_of_sample(root), ONLY_LOCAL, frozenset[str]()),
        "README.md": (settings_of_readme(root), frozenset[str](), frozenset[str]()),
    }
    for place, (there, more, fewer) in places.items():
        for name in sorted(read - there - fewer):
            yield f"{name} is read and not in {place}"
        for name in sorted(there - read - more):
            yield f"{name} is in {place} and not read"
        for name in sorted(there & fewer):
            yield f"{name} does not belong in {place}"


def settings_of_code(root: Path) -> set[str]:
    """Return the settings that `shared` and `function_app.py` read, connections as one name each."""
    found = set()
    for path in [root / "function_app.py", *(root / "shared").rglob("*.py")]:
        tree = ast.parse(path.read_text())
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and _reads_a_setting(node.func) and node.args:
                found |= set(_constants(node.args[0]))
        if path.name == "function_app.py":  # what the host resolves
            words = {word for word in _constants(tree) if re.fullmatch(r"%\w+%|AzureWebJobsStorage", word)}
            found |= {word.strip("%") for word in words}
    return {name for name in found if _SETTING.fullmatch(name)}


def settings_of_bicep(root: Path) -> set[str]:
    """Return the app settings of the function app, connections as one name each."""
    found = {key for file in bicep.files(root / "infra") for key in bicep.keys(file.root)}
    return {key.partition("__")[0] for key in found if _SETTING.fullmatch(key)}


def settings_of_sample(root: Path) -> set[str]:
    """Return the settings of the sample."""
    return set(json.loads((root / "local.settings.sample.json").read_text())["Values"])


def settings_of_readme(root: Path) -> set[str]:
    """Return the settings of the table in README.md."""
    section = (root / "README.md").read_text().partition("\n## Settings\n")[2].partition("\n## ")[0]
    cells = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    return {name for cell in cells for name in re.findall(r"`(\w+)`", cell)}


def parameter_problems(root: Path) -> Iterator[str]:
    """Return where main.parameters.json and main.bicep differ, in a parameter or in its default."""
    main = bicep.BicepFile(root / "infra/main.bicep")
    given = json.loads((root / "infra/main.parameters.json").read_text())["parameters"]
    params = {name: symbol for name, symbol in main.symbols.items() if symbol.kind == "param"}
    for name in sorted(set(given) ^ set(params)):
        yield f"{name} is not both a parameter of main.bicep and in main.parameters.json"
    for name in sorted(set(given) & set(params)):
        default = params[name].value
        here = bicep.text(default).strip("'") if default else ""
        there = re.fullmatch(r"\$\{[A-Z_]+(?:=(.+))?\}", given[name]["value"])
        if there is None or (there[1] or "") != here:
            yield f"{name} is {given[name]['value']} in main.parameters.json, and by default {here!r}"


def role_problems(root: Path) -> Iterator[str]:
    """Return each id in Bicep that is not the one of its name, and each assignment that mixes names."""
    known = {_camel(name): role for name, role in ROLES.items()} | APPLICATIONS
    for path in sorted((root / "infra").rglob("*.bicep")):
        content = path.read_text()
        named = re.findall(rf"(?<!\w)(?!appId)(\w+): '({GUID})'", content)
        named += re.findall(rf"resource (\w+) '[^']+' existing = {{\s+appId: '({GUID})'", content)
        for name, there in named:
            if known.get(name) != there:
                yield f"{path.name}: {there} is not the id of {name}"
        if left := set(re.findall(GUID, content)) - {there for _, there in named}:
            yield f"{path.name}: {', '.join(sorted(left))} has no name"
        for symbol in bicep.BicepFile(path).symbols.values():
            used = set(re.findall(r"\broles\.(\w+)", bicep.text(symbol.node)))
            if used - {symbol.name}:
                yield f"{path.name}: {symbol.name} assigns {', '.join(sorted(used))}"


def _camel(name: str) -> str:
    joined = name.replace(" ", "")
    return joined[0].lower() + joined[1:]


def _reads_a_setting(called: ast.expr) -> bool:
    """Return whether a call is a method of the reader, or asks a mapping of the environment."""
    if not isinstance(called, ast.Attribute):
        return False
    owner = ast.unparse(called.value)
    return owner in ("read", "self") or owner.endswith("environ")


def _constants(node: ast.AST) -> Iterator[str]:
    for each in ast.walk(node):
        if isinstance(each, ast.Constant) and isinstance(each.value, str):
            yield each.value
