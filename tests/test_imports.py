"""The layers of the code, and the modules that a cold start may not load; by name, because durations vary."""

import ast
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from mailroom.sources import registry
from mailroom_ops.local import bytecode

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "layers/mailroom/mailroom"
# The only files with sockets, logs and metrics; providers/ has the client for SMTP.
EDGES = {
    *("aws/encryption.py", "network/http.py", "network/public.py", "network/tls.py"),
    *("feedback/log.py", "telemetry.py"),
}
OUTSIDE = {
    *("aws_lambda_powertools", "boto3", "botocore", "awslambdaric", "moto"),
    *("httpx", "http", "urllib.request", "urllib3", "requests", "smtplib", "socket", "ssl"),
}

# The parts of each package, from the bottom up: a part imports only parts of the rows above it in this list.
LAYER: tuple[tuple[str, ...], ...] = (
    ("dataclass_methods", "errors"),
    ("model",),
    ("untrusted",),
    ("network", "rendering", "request"),
    ("aws", "providers", "webhooks"),
    ("ledger", "settings"),
    ("callbacks",),
    ("delivery", "feedback", "sources"),
    ("api",),
    ("telemetry",),
)
OPERATOR: tuple[tuple[str, ...], ...] = (
    ("errors", "finding", "provider_modules", "tls"),
    ("cloudformation",),
    ("environment",),
    ("sandbox", "settings", "web"),
    ("templates",),
    ("capacity", "domains", "ledger", "secrets_import"),
    ("doctor", "suppression_lists"),
    ("console",),
    ("local",),
    ("cli",),
    ("deployment",),
)
PACKAGES = {"mailroom": (PACKAGE, LAYER), "mailroom_ops": (ROOT / "ops/mailroom_ops", OPERATOR)}
LOOSE_FILES = {
    "mailroom": {"dataclass_methods", "errors", "request", "settings", "telemetry", "untrusted"},
    "mailroom_ops": {"environment", "errors", "finding", "provider_modules", "tls"},
}
# The last two load their modules by the provider's name.
PACKAGES_WITH_CODE = {"mailroom", "feedback", "providers"}

# `import botocore` alone is an empty package that Powertools looks for; what is below it costs 120 ms.
HEAVY = {
    *("boto3", "botocore.session", "botocore.client", "aws_xray_sdk", "asyncio", "jinja2"),
    *("httpx", "urllib3", "requests", "http.client", "urllib.request"),
    *("aws_lambda_powertools.event_handler", "aws_lambda_powertools.utilities.batch"),
    *("aws_lambda_powertools.utilities.idempotency", "aws_lambda_powertools.utilities.parameters"),
    *("aws_lambda_powertools.utilities.parser", "aws_lambda_powertools.utilities.data_classes"),
    "mailroom.network.sigv4a",
}
FORBIDDEN = {
    "webhook": HEAVY | {"calendar", "cryptography", "email", "html", "idna", "minijinja", "pydantic", "smtplib"},
    "rendered": HEAVY | {"httpx", "idna", "minijinja", "smtplib"},
    "send": HEAVY | {"mailroom.api.openapi", "pydantic", "pydantic_core"},
    "deliver": HEAVY | {"pydantic", "pydantic_core"},
    "feedback": HEAVY | {"idna", "minijinja", "smtplib"},
    "link": HEAVY | {"idna", "pydantic", "smtplib"},
    "notify": HEAVY | {"cryptography", "idna", "minijinja", "pydantic", "smtplib"},
}
VARIABLES = {
    "AWS_LAMBDA_FUNCTION_NAME": "mailroom-test",
    "AWS_REGION": "eu-west-1",
    "ENVIRONMENT": "development",
    "CODES_QUEUE_URL": "http://127.0.0.1:9/codes",
    "NOTICES_QUEUE_URL": "http://127.0.0.1:9/notices",
    "CODES_DEAD_LETTER_QUEUE_URL": "http://127.0.0.1:9/codes-dead-letters",
    "NOTICES_DEAD_LETTER_QUEUE_URL": "http://127.0.0.1:9/notices-dead-letters",
    "OUTCOMES_QUEUE_URL": "http://127.0.0.1:9/outcomes",
    "OUTCOMES_DEAD_LETTER_QUEUE_URL": "http://127.0.0.1:9/outcomes-dead-letters",
    "TABLE_NAME": "ledger",
    "PROVIDERS": "resend,smtp",
    "TEMPLATES_DIR": str(ROOT / "layers/templates"),
    "CODE_LIFETIME_MINUTES": "10",
    "RECORD_CODE_ON_FAILURE": "false",
    "POWERTOOLS_SERVICE_NAME": "test",
    "POWERTOOLS_METRICS_NAMESPACE": "Mailroom",
}


@pytest.mark.parametrize("function", FORBIDDEN)
def test_a_function_imports_only_what_it_needs(function: str) -> None:
    loaded = modules_after(f"from functions.{function}.app import handler")
    assert f"functions.{function}.app" in loaded
    assert FORBIDDEN[function] & loaded == set()


@pytest.mark.parametrize("function", ["send", "deliver"])
def test_a_cold_start_loads_the_adapters_of_the_chain_and_no_others(function: str) -> None:
    loaded = modules_after(f"from functions.{function}.app import handler")
    adapters = {name.rpartition(".")[2] for name in loaded if name.startswith("mailroom.providers.")}
    assert {name for name in adapters if not name.startswith("_")} == {"resend", "smtp"}


def test_the_webhook_loads_logto_at_once_and_any_other_source_when_it_is_called() -> None:
    loaded = modules_after("from functions.webhook.app import handler")
    assert {name for name in registry.NAMES if f"mailroom.sources.{name}" in loaded} == {"logto"}


def test_hosts_and_addresses_in_ascii_load_no_unicode_tables() -> None:
    check = "assert is_address('ada@example.com') and link('https://example.com/?name=\u00e4')"
    loaded = modules_after(
        f"from mailroom.model.mailbox import is_address; from mailroom.untrusted import link; {check}"
    )
    assert not {name for name in loaded if name.startswith(("idna", "encodings.idna", "stringprep"))}


def test_a_connection_over_tls_loads_no_unicode_tables() -> None:
    loaded = modules_after("""
import socket, ssl, threading
from contextlib import suppress
from mailroom.network.http import Connections, Limits, Unreachable, Url
server = socket.create_server(("127.0.0.1", 0))
threading.Thread(target=lambda: server.accept()[0].close()).start()
with suppress(Unreachable):
    limits = Limits(connect=5, read=5, total=5, idle=5, size=100)
    url = Url.parse(f"https://localhost:{server.getsockname()[1]}/")
    Connections(lambda: limits, ssl.create_default_context).request("GET", url, {})
pass""")
    assert not {"encodings.idna", "stringprep"} & loaded


def modules_after(statement: str) -> set[str]:
    """Return the modules that a fresh interpreter has loaded after a statement."""
    path = os.pathsep.join([str(ROOT), str(PACKAGE.parent)])
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; {statement}; print(*sys.modules)"],
        env=VARIABLES | {"PYTHONPATH": path, **bytecode.VARIABLE},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def test_the_package_imports_neither_functions_nor_ops() -> None:
    for path, name in imports(PACKAGE):
        assert name.split(".")[0] not in {"functions", "mailroom_ops", "tests", "bench"}, path


def test_only_the_edges_import_aws_http_or_logging_libraries() -> None:
    for path, name in imports(PACKAGE):
        inside = path.relative_to(PACKAGE)
        if inside.parts[0] != "providers" and inside.as_posix() not in EDGES:
            assert not {name, name.split(".")[0]} & OUTSIDE, f"{inside} imports {name}"


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_of_a_package_point_downwards(package: str) -> None:
    folder, rows = PACKAGES[package]
    heights = {"": 1} | {part: height for height, row in enumerate(rows) for part in row}  # "": `__init__.py`
    for path in sorted(folder.rglob("*.py")):
        part = part_of(path, folder)
        for imported in imported_parts(path, package) - {part}:
            assert heights[imported] < heights[part], f"{path.relative_to(folder)} imports {package}.{imported}"


@pytest.mark.parametrize("package", PACKAGES)
def test_every_part_of_a_package_has_its_layer(package: str) -> None:
    folder, rows = PACKAGES[package]
    parts = {part_of(path, folder) for path in folder.rglob("*.py")} - {""}
    assert sorted(part for row in rows for part in row) == sorted(parts)


@pytest.mark.parametrize("package", PACKAGES)
def test_no_modules_of_a_package_import_each_other_in_a_circle(package: str) -> None:
    folder, _ = PACKAGES[package]
    modules = {module_name(path, folder): path for path in folder.rglob("*.py") if path.name != "__init__.py"}
    graph = {name: imported_names(path) & modules.keys() for name, path in modules.items()}
    assert len(list(TopologicalSorter(graph).static_order())) == len(modules)  # or it raises CycleError


@pytest.mark.parametrize("package", PACKAGES)
def test_only_few_files_lie_loose_in_a_package(package: str) -> None:
    folder, _ = PACKAGES[package]
    assert {path.stem for path in folder.glob("*.py")} - {"__init__"} == LOOSE_FILES[package]


def test_the_packages_of_the_layer_load_nothing_by_themselves() -> None:
    for path in PACKAGE.rglob("__init__.py"):
        if path.parent.name not in PACKAGES_WITH_CODE:
            (docstring,) = ast.parse(path.read_text(encoding="utf-8")).body
            assert isinstance(docstring, ast.Expr), path


def test_nothing_imports_from_a_conftest() -> None:
    for folder in ("bench", "ops", "tests"):
        for path, name in imports(ROOT / folder):
            assert name.split(".")[-1] != "conftest", f"{path.relative_to(ROOT)}: move the helper to a module"


def part_of(path: Path, folder: Path) -> str:
    """Return the part of a package to which a file belongs: its first folder, or its own name."""
    name = path.relative_to(folder).with_suffix("").parts[0]
    return "" if name == "__init__" else name


def imported_names(path: Path) -> set[str]:
    """Return what a file imports, by full name, with and without the last step: it may be a module or its content."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def imported_parts(path: Path, package: str) -> set[str]:
    prefix = f"{package}."
    return {name.removeprefix(prefix).split(".")[0] for name in imported_names(path) if name.startswith(prefix)}


def test_the_operators_side_imports_no_function() -> None:
    for path, name in imports(ROOT / "ops"):
        assert name.split(".")[0] != "functions", path


def imports(folder: Path) -> Iterator[tuple[Path, str]]:
    """Yield each file of a folder with every module that it imports, at its top or inside of functions."""
    for path in (path for path in folder.rglob("*.py") if "node_modules" not in path.parts):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                yield from ((path, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                assert not node.level, f"{path}: Lambda knows no package around app.py; import by full name"
                yield path, node.module or ""


def module_name(path: Path, package: Path = PACKAGE) -> str:
    """Return the name of a module, such as `mailroom.api.keys`."""
    parts = path.relative_to(package.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}
LOADED_BY_NAME = {"NEEDS", "PROVIDER", "SOURCE", "read"}  # of modules that are imported when they are needed


@cache
def names_used() -> Mapping[str, set[str]]:
    """Return the names of each module of the layer that other files of the repository use."""
    names: defaultdict[str, set[str]] = defaultdict(set)
    for folder in ("bench", "functions", "layers/mailroom/mailroom", "ops", "tests"):
        for path in (path for path in (ROOT / folder).rglob("*.py") if "node_modules" not in path.parts):
            nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
            aliases: dict[str, str] = {}
            for node in nodes:
                if isinstance(node, ast.ImportFrom) and node.module in MODULES:
                    for alias in node.names:
                        if f"{node.module}.{alias.name}" in MODULES:
                            aliases[alias.asname or alias.name] = f"{node.module}.{alias.name}"
                        elif MODULES[node.module] != path:
                            names[node.module].add(alias.name)
            for node in nodes:
                if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in aliases:
                    names[aliases[node.value.id]].add(node.attr)
    return names


@pytest.mark.parametrize("module", MODULES)
def test_a_module_exports_what_others_use_and_nothing_else(module: str) -> None:
    exported: set[str] = set()
    for node in ast.parse(MODULES[module].read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "__all__":
            exported = set(ast.literal_eval(node.value))
    assert exported - LOADED_BY_NAME == names_used()[module] - LOADED_BY_NAME
