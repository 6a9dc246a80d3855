"""Allowed imports, allowed side effects and the top level, checked by reading the code."""

import ast
import json
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SHARED = sorted(path for path in (ROOT / "shared").rglob("*.py") if path.stem != "__init__")

ORDER = (
    ("function_app",),
    ("triggers",),
    ("app",),
    ("admin", "cleanup"),
    ("notifications", "poison", "checks"),
    ("subscription", "sweeps", "sync"),
    ("graph", "sharepoint"),
    ("rest", "ledger"),
    ("storage",),
    ("jobs", "settings", "schedules"),
    ("attempt", "job_fields"),
    ("users", "settings_reader", "backoff", "clock", "logs", "errors", "pictures"),
    ("pem",),
)
"""A module or package of `shared` imports only from lines below its own."""

PURE = (
    "users",
    "jobs",
    "job_fields",
    "backoff",
    "errors",
    "pem",
    "schedules",
    "notifications",
    "graph.photo",
    "graph.batch",
    "rest.roles",
    "rest.status",
    "storage.connection",
    "ledger.row",
    "checks.decision",
    "sync.plan",
    "subscription.ownership",
    "subscription.plan",
    "sweeps.state",
    "sweeps.tally",
    "pictures.formats",
    "pictures.thumbnails",
)
"""Modules and packages that decide: they read no clock and no environment, and open nothing."""

PACKAGES: dict[str, frozenset[str]] = {
    "function_app": frozenset({"azure"}),
    "pictures.thumbnails": frozenset({"PIL"}),
    "rest.client": frozenset({"requests", "urllib3"}),
    "rest.session": frozenset({"requests", "urllib3"}),
    "rest.certificates": frozenset({"cryptography"}),
    "rest.tokens": frozenset({"azure", "msal", "requests"}),
    "storage.account": frozenset({"azure"}),
    "storage.queues": frozenset({"azure"}),
    "storage.tables": frozenset({"azure"}),
    "subscription.client_state": frozenset({"itsdangerous"}),
    "subscription.wake": frozenset({"requests"}),
}
"""The installed packages that a module may import; a module that is not named here may import none."""

EFFECTS: dict[str, frozenset[str]] = {
    "asyncio": frozenset(),
    # Both format times that they are given, for Graph and for a sweep's name; neither reads the clock.
    "datetime": frozenset({"graph.subscription", "sweeps.opener"}),
    "http.client": frozenset(),
    "http.cookiejar": frozenset({"rest.session"}),
    "http.server": frozenset(),
    "logging": frozenset({"function_app", "logs"}),
    "multiprocessing": frozenset(),
    "os": frozenset({"function_app"}),
    "pathlib": frozenset({"settings_reader"}),  # a certificate may be a file
    "random": frozenset({"rest.client", "sharepoint.pace", "storage.queues"}),  # the default jitter
    "secrets": frozenset(
        {"subscription.client_state", "subscription.record", "sweeps.opener", "sync.claims"}
    ),  # tokens, nonces and names
    "shutil": frozenset(),
    "socket": frozenset(),
    "ssl": frozenset(),
    "subprocess": frozenset(),
    "sys": frozenset(),
    "tempfile": frozenset(),
    # Clients are built once, reads of gates and units given back are shared, the first message is sent alone.
    "threading": frozenset(
        {
            "app",
            "rest.gates",
            "rest.problems",
            "rest.tokens",
            "sharepoint.pace",
            "storage.account",
            "storage.queues",
        }
    ),
    "time": frozenset({"clock"}),
    "urllib.request": frozenset(),
    "uuid": frozenset(),
}
"""The modules that may import each module with side effects; all others get them as arguments."""

TOP = [
    ".ci/run",
    ".funcignore",
    ".python-version",
    "CHANGELOG.md",
    "LICENSE",
    "Makefile",
    "README.md",
    "docs",
    "function_app.py",
    "host.json",
    "local/host/__main__.py",
    "local/tenant/__main__.py",
    "local.settings.sample.json",
    "package.json",
    "pyproject.toml",
    "requirements-dev.txt",
    "requirements.in",
    "requirements.txt",
    "shared/__init__.py",
    "tests",
]
IGNORED = {
    ".git",
    ".hypothesis",
    ".mypy_cache",
    ".pytest_cache",
    ".ruff_cache",
    ".venv",
    "node_modules",
    "out",
}
LOOPBACK = "127.0.0.1"
OPENS_A_PORT = {
    "bind",
    "create_server",
    "HTTPServer",
    "ThreadingHTTPServer",
    "TCPServer",
    "make_server",
    "run_simple",
}
HEAVY = [
    "PIL",
    "azure.core",
    "azure.data.tables",
    "azure.identity",
    "azure.storage.queue",
    "cryptography",
    "msal",
]


# --- reading the code ---


def name_of(path: Path) -> str:
    """Return `sync.plan` for shared/sync/plan.py."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removeprefix("shared.")


def source_of(module: str) -> Path:
    return ROOT / ("function_app.py" if module == "function_app" else f"shared/{module.replace('.', '/')}.py")


def imports_of(path: Path) -> set[str]:
    """Return every module that a file imports, wherever in it, as `a.b`; `from a import b` names both."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            package = list(path.relative_to(ROOT).parts[: -node.level]) if node.level else []
            base = ".".join([*package, *([node.module] if node.module else [])])
            found |= {base} | {f"{base}.{alias.name}" for alias in node.names}
    return found


def imported_of_shared(module: str) -> set[str]:
    return {name.removeprefix("shared.") for name in imports_of(source_of(module))} & set(APP)


def is_under(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def place_of(module: str) -> int:
    """Return the line of `ORDER` on which a module or its package stands."""
    return next(n for n, line in enumerate(ORDER) if module.partition(".")[0] in line)


def project_files(*suffixes: str) -> Iterator[Path]:
    for folder, folders, files in os.walk(ROOT):
        folders[:] = [name for name in folders if name not in IGNORED and name != "__pycache__"]
        yield from (Path(folder, name) for name in files if name.endswith(suffixes))


APP = [*map(name_of, SHARED), "function_app"]


# --- allowed imports ---


def test_every_module_is_in_the_order_of_imports() -> None:
    placed = [name for line in ORDER for name in line]
    there = {module.partition(".")[0] for module in APP}

    assert len(placed) == len(set(placed))
    assert set(placed) == there, "add it to ORDER, on the lowest line that is above all its imports"
    assert set(PACKAGES) <= set(APP)
    assert set(PURE) <= set(APP)
    assert frozenset().union(*EFFECTS.values()) <= set(APP)


@pytest.mark.parametrize("module", APP)
def test_a_module_imports_only_from_lower_lines(module: str) -> None:
    package = module.partition(".")[0]

    wrong = sorted(
        name
        for name in imported_of_shared(module)
        if name.partition(".")[0] != package and place_of(name) <= place_of(module)
    )
    assert not wrong, f"{module} may not import {', '.join(wrong)}"


def test_imports_have_no_cycles() -> None:
    order = TopologicalSorter({module: imported_of_shared(module) for module in APP}).static_order()

    assert list(order)[-1] == "function_app"


def test_init_files_are_empty() -> None:
    packages = [path for folder in ("shared", "local") for path in (ROOT / folder).rglob("__init__.py")]

    assert packages
    assert not [path for path in packages if path.read_text()]


@pytest.mark.parametrize("module", APP)
def test_a_module_imports_only_its_own_installed_packages(module: str) -> None:
    ours = {"shared", "function_app"}
    packages = {name.partition(".")[0] for name in imports_of(source_of(module))}

    foreign = packages - sys.stdlib_module_names - ours
    unexpected = sorted(foreign - PACKAGES.get(module, frozenset()))
    assert not unexpected, (
        f"{module} imports {', '.join(unexpected)}: add it to PACKAGES, or use it in a client"
    )


@pytest.mark.parametrize("module", APP)
def test_a_module_imports_only_its_own_modules_with_side_effects(module: str) -> None:
    imported = imports_of(source_of(module))

    wrong = sorted(
        effect
        for effect, allowed in EFFECTS.items()
        if module not in allowed and any(is_under(name, effect) for name in imported)
    )
    assert not wrong, f"{module} imports {', '.join(wrong)}: take its results as arguments"


@pytest.mark.parametrize("module", PURE)
def test_a_pure_module_reads_no_clock_and_opens_nothing(module: str) -> None:
    names = set()
    for node in ast.walk(ast.parse(source_of(module).read_text())):
        if isinstance(node, ast.Call):
            names.add(
                node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            )

    effects = {"__import__", "eval", "exec", "input", "now", "print", "time", "today", "utcnow"}
    assert not names & effects
    # Image.open reads bytes in memory.
    assert "open" not in names or module == "pictures.thumbnails"


def test_only_function_app_imports_azure_functions() -> None:
    code = [*ROOT.glob("*.py"), *(ROOT / "shared").rglob("*.py"), *(ROOT / "local").rglob("*.py")]

    importers = [
        str(path.relative_to(ROOT))
        for path in code
        if any(is_under(name, "azure.functions") for name in imports_of(path))
    ]
    assert importers == ["function_app.py"]


@pytest.mark.parametrize(
    ("folder", "forbidden"),
    [
        pytest.param("shared", ["local", "tests", "function_app"], id="the app"),
        # Two independent implementations of the same documents.
        pytest.param("local/tenant", ["shared", "function_app", "local.host", "tests"], id="the tenant"),
        pytest.param("local/host", ["shared", "function_app", "local.tenant", "tests"], id="the host"),
    ],
)
def test_a_folder_imports_nothing_of_the_others(folder: str, forbidden: list[str]) -> None:
    files = sorted((ROOT / folder).rglob("*.py"))

    imported = {
        f"{path.relative_to(ROOT)} imports {name}"
        for path in files
        for name in imports_of(path)
        if any(is_under(name, each) for each in forbidden)
    }
    assert files
    assert not imported


# --- imports at a cold start ---


def test_importing_the_app_reads_no_setting_and_loads_no_heavy_library() -> None:
    pictures = [f"shared.{name}" for name in map(name_of, SHARED) if name.startswith("pictures.")]
    others = [f"shared.{name}" for name in map(name_of, SHARED) if not name.startswith("pictures.")]
    script = (
        "import importlib, json, sys\n"
        f"loaded = {{}}\n"
        f"for name in {[*others, 'function_app', *pictures]!r}:\n"
        "    importlib.import_module(name)\n"
        f"    new = [heavy for heavy in {HEAVY!r} if heavy in sys.modules]\n"
        "    loaded[name] = [heavy for heavy in new if heavy not in sum(loaded.values(), [])]\n"
        "print(json.dumps({name: heavy for name, heavy in loaded.items() if heavy}))\n"
    )

    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        cwd=ROOT,
        env={"PATH": os.defpath},  # and no settings at all
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"shared.pictures.thumbnails": ["PIL"]}


# --- loopback only ---


def test_no_file_names_the_address_of_all_interfaces() -> None:
    wildcards = (".".join("0000"), "INADDR" + "_ANY")
    files = list(project_files(".py", ".json", ".toml", ".sh", ".md", "Makefile", "run"))

    named = [
        str(path.relative_to(ROOT)) for path in files if any(each in path.read_text() for each in wildcards)
    ]
    assert len(files) > 50
    assert not named


def test_every_port_is_opened_on_loopback() -> None:
    constants, hosts = defaultdict[str, set[str]](set), list[tuple[str, str]]()
    for path in project_files(".py"):
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant(value=str(text))):
                    constants[name].add(text)
                case ast.Call(args=[ast.Tuple(elts=[host, _]), *_], func=ast.Attribute(attr="__init__")):
                    hosts.append((f"{path.relative_to(ROOT)}:{node.lineno}", ast.unparse(host)))
                case ast.Call(args=[ast.Tuple(elts=[host, *_]) | (ast.Constant() as host), *_], func=called):
                    if getattr(called, "attr", getattr(called, "id", "")) in OPENS_A_PORT:
                        hosts.append((f"{path.relative_to(ROOT)}:{node.lineno}", ast.unparse(host)))

    elsewhere = [
        f"{where} on {host}" for where, host in hosts if constants.get(host, {host.strip("'")}) != {LOOPBACK}
    ]
    assert hosts
    assert not elsewhere


# --- the top ---


@pytest.mark.parametrize("path", TOP)
def test_a_conventional_file_of_the_top_level_exists(path: str) -> None:
    assert (ROOT / path).exists()


def test_one_version_of_python_is_named_everywhere() -> None:
    assert (ROOT / ".python-version").read_text().strip() == "3.13"
    assert 'requires-python = ">=3.13"' in (ROOT / "pyproject.toml").read_text()
