"""The artifacts of `sam build`, run as in Lambda: AWS's runtime client on a Python 3.13 with nothing else installed."""

import hashlib
import json
import marshal
import os
import re
import shutil
import struct
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from bench import artifact
from bench.artifact import Artifact, Missing
from bench.process import InitFailed, Process
from bench.stub import Stub

pytestmark = pytest.mark.thorough

ROOT = Path(__file__).parent.parent
EVENTS = ROOT / "events"
CACHE = ROOT / ".cache" / "artifact" / "operator-cache"
PARAMETERS = {
    "webhooks/logto/authorization": "Bearer local-logto-token",
    "providers/resend/api_key": "re_made_up",
    "senders/default/auth": json.dumps({"from": "Acme <no-reply@example.com>"}),
    "ledger/address_key": "0123456789abcdef",
}
MACHINES = {"x86_64": 62, "arm64": 183}  # e_machine in an ELF header
MAGIC_OF_3_13 = (3571).to_bytes(2, "little") + b"\r\n"
UNCHECKED_HASH = 0b01


@pytest.fixture(scope="session")
def built() -> dict[str, Artifact]:
    """The artifact for each processor architecture."""
    try:
        artifact.runtime_client()
        return {architecture: artifact.build(architecture) for architecture in MACHINES}
    except Missing as missing:
        pytest.skip(str(missing))


@pytest.fixture
def here(built: dict[str, Artifact]) -> Artifact:
    """The artifact for this machine."""
    return built[artifact.HOST]


@pytest.fixture(scope="session")
def stub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stub]:
    with closing(Stub(tmp_path_factory.mktemp("stub"), PARAMETERS)) as server:
        yield server


def start(unpacked: Artifact, function: str, stub: Stub, log: Path, **variables: str) -> Process:
    environment = unpacked.variables(function) | stub.variables | variables
    return Process(unpacked.code(function), unpacked.path(function), environment, log)


def carry(unpacked: Artifact, stub: Stub, folder: Path) -> list[dict[str, Any]]:
    """Send one code through the artifact's webhook and deliver; return the mails that the provider received."""
    stub.seen.clear()
    with start(unpacked, "WebhookFunction", stub, folder / "webhook.log") as webhook:
        answer, _ = webhook.invoke(sign_in())
    assert json.loads(answer.payload)["statusCode"] == 200
    (parcel,) = [body["MessageBody"] for operation, body in stub.seen if operation == "SendMessage"]
    with start(unpacked, "DeliverFunction", stub, folder / "deliver.log") as deliver:
        deliver.invoke(batch(parcel))
    return [body for operation, body in stub.seen if operation == "/emails"]


def refused_fields(unpacked: Artifact, stub: Stub, folder: Path) -> list[str]:
    """Invoke the artifact's send without a recipient; return the fields that its refusal names."""
    with start(unpacked, "SendFunction", stub, folder / "send.log") as send:
        answer, _ = send.invoke(b'{"kind": "sign-in-code", "data": {"code": "482913"}}')
    return [error["field"] for error in json.loads(answer.payload).get("errors", ())]


def test_the_webhook_accepts_and_deliver_sends(here: Artifact, stub: Stub, tmp_path: Path) -> None:
    (mail,) = carry(here, stub, tmp_path)
    assert mail["to"] == ["reader@example.com"]
    assert "482913" in mail["text"]
    assert "Email sent successfully" in (tmp_path / "deliver.log").read_text()


def without(package: str, artifact: Artifact, folder: Path) -> Artifact:
    """Return a copy of an artifact that lacks a package."""
    incomplete = Artifact(folder / "artifact")
    shutil.copytree(artifact.folder, incomplete.folder, copy_function=os.link)
    (missing,) = incomplete.folder.glob(f"*/python/{package}")
    shutil.rmtree(missing)
    return incomplete


@pytest.mark.parametrize("package", ["aws_lambda_powertools", "minijinja", "mailroom"])
def test_a_missing_package_is_detected(here: Artifact, stub: Stub, tmp_path: Path, package: str) -> None:
    incomplete = without(package, here, tmp_path)
    with suppress(InitFailed), start(incomplete, "SendFunction", stub, tmp_path / "send.log"):
        assert carry(incomplete, stub, tmp_path) == []


def test_a_refusal_of_send_needs_pydantic(here: Artifact, stub: Stub, tmp_path: Path) -> None:
    assert refused_fields(here, stub, tmp_path) == ["to"]
    assert refused_fields(without("pydantic", here, tmp_path), stub, tmp_path) == ["body"]  # the answer after a crash


@pytest.mark.parametrize("function", ["SendFunction", "FeedbackFunction", "NotifyFunction"])
def test_the_other_functions_start(here: Artifact, stub: Stub, tmp_path: Path, function: str) -> None:
    with start(here, function, stub, tmp_path / "log") as process:
        assert process.init > 0


@pytest.mark.parametrize("architecture", MACHINES)
def test_native_code_is_for_the_processor_of_the_artifact(built: dict[str, Artifact], architecture: str) -> None:
    libraries = list(built[architecture].folder.rglob("*.so"))
    assert {path.name.split(".")[0] for path in libraries} >= {"_pydantic_core", "_lowlevel"}
    assert {machine_of(path) for path in libraries} == {MACHINES[architecture]}


@pytest.mark.parametrize("architecture", MACHINES)
@pytest.mark.parametrize("layer", ["DependenciesLayer", "SignaturesLayer", "MailroomLayer"])
def test_every_module_of_a_layer_is_compiled_with_an_unchecked_hash(
    built: dict[str, Artifact], architecture: str, layer: str
) -> None:
    modules = list((built[architecture].folder / layer / "python").rglob("*.py"))
    assert len(modules) > 20
    for module in modules:
        header = (module.parent / "__pycache__" / f"{module.stem}.cpython-313.pyc").read_bytes()[:8]
        assert header == MAGIC_OF_3_13 + struct.pack("<I", UNCHECKED_HASH), module


@pytest.mark.parametrize("architecture", MACHINES)
def test_the_methods_of_dataclasses_are_compiled(built: dict[str, Artifact], architecture: str) -> None:
    package = built[architecture].folder / "MailroomLayer" / "python" / "mailroom"
    compiled = marshal.loads((package / "__pycache__" / "dataclass_methods.cpython-313.bin").read_bytes())  # noqa: S302 - of our own build
    assert len(compiled) > 60


def test_bytecode_has_the_path_of_the_deployed_file(here: Artifact) -> None:
    (compiled,) = (here.folder / "MailroomLayer" / "python").rglob("deliver.cpython-313.pyc")
    assert b"/opt/python/mailroom/delivery/deliver.py" in compiled.read_bytes()


@pytest.mark.parametrize("architecture", MACHINES)
def test_the_artifact_contains_nothing_unnecessary(built: dict[str, Artifact], architecture: str) -> None:
    folder = built[architecture].folder
    assert [path.name for path in sorted((folder / "WebhookFunction").iterdir())] == ["app.py"]
    assert [path.name for path in sorted((folder / "SendFunction").iterdir())] == ["app.py", "openapi.json"]
    packages = {path.name for path in (folder / "DependenciesLayer" / "python").iterdir()}
    assert not packages & {"bin", "boto3", "botocore", "certifi", "httpx", "pip", "tests"}
    assert sorted(path.name for path in (folder / "DependenciesLayer").iterdir()) == ["certificates", "python"]
    assert not list(folder.glob("*/python/**/Makefile"))
    without_signatures = [*folder.glob("[DMTW]*/**/*")]
    assert sum(path.stat().st_size for path in without_signatures if path.is_file()) < 40_000_000


def test_an_operators_own_sam_builds_the_same(built: dict[str, Artifact], tmp_path: Path) -> None:
    shell = {name: os.environ[name] for name in ("HOME", "LANG") if name in os.environ}
    path = os.pathsep.join([str(artifact.python().parent), "/usr/bin:/bin"])
    command: list[str | Path] = [
        artifact.sam(),
        "build",
        "--config-env",
        "staging",
        "--build-dir",
        tmp_path,
        "--cache-dir",
        CACHE,
    ]

    done = subprocess.run(command, cwd=ROOT, env={**shell, "PATH": path}, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert hashes(tmp_path) == hashes(built["arm64"].folder)


def test_a_wrong_python_is_one_sentence_of_sam_build(tmp_path: Path) -> None:
    for name in ("python", "python3", "python3.13"):
        (tmp_path / name).write_text("#!/bin/sh\nexit 1\n")
        (tmp_path / name).chmod(0o755)
    command: list[str | Path] = [
        artifact.sam(),
        "build",
        "--config-env",
        "staging",
        "--build-dir",
        tmp_path / "build",
        "MailroomLayer",
    ]
    environment = {"HOME": str(tmp_path), "PATH": f"{tmp_path}:/usr/bin:/bin"}

    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)

    assert done.returncode
    assert "needs Python 3.13 with pip, the version Lambda runs, as python3.13 on the PATH" in done.stderr


def test_layers_contain_the_files_of_the_repository(here: Artifact) -> None:
    assert files(here.folder / "MailroomLayer/python/mailroom", "*.py") == files(
        ROOT / "layers/mailroom/mailroom", "*.py"
    )
    assert files(here.folder / "TemplatesLayer/templates") == files(ROOT / "layers/templates") - {Path("Makefile")}


LAYER_LOCKS = tuple(f"layers/{layer}/requirements.txt" for layer in ("dependencies", "encryption", "signatures"))
LOCKS = (
    *LAYER_LOCKS,
    *(f"requirements-{group}.txt" for group in ("dev", "docs", "run", "sam", "uv")),
    "bench/naive/handler/requirements.txt",
)


@pytest.mark.parametrize("path", [*LAYER_LOCKS, "requirements-run.txt"])
def test_what_runs_has_the_versions_of_the_tests(path: str) -> None:
    layer = pins(ROOT / path)
    assert layer
    assert layer.items() <= pins(ROOT / "requirements-dev.txt").items()


@pytest.mark.parametrize("path", LOCKS)
def test_every_dependency_is_pinned_by_hash_without_an_index(path: str) -> None:
    text = (ROOT / path).read_text()
    assert "://" not in text
    assert "index" not in re.findall(r"^--(\S+)", text, re.MULTILINE)
    for block in re.split(r"\n(?=\S)", text.strip()):
        assert re.match(r"[a-z0-9-]+(\[[a-z0-9,-]+\])?==\S+", block), block.splitlines()[0]
        assert "--hash=sha256:" in block, block.splitlines()[0]


def sign_in() -> bytes:
    """Return a request of this moment: the code in the file expired long ago."""
    event = json.loads((EVENTS / "webhook-sign-in.json").read_bytes())
    event["requestContext"]["timeEpoch"] = int(time.time() * 1000)
    return json.dumps(event).encode()


def batch(parcel: str) -> bytes:
    record = {
        "messageId": "b5c8f2e1-0000-4000-8000-000000000001",
        "receiptHandle": "handle",
        "body": parcel,
        "attributes": {"ApproximateReceiveCount": "1"},
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:eu-west-1:123456789012:mailroom-codes",
        "awsRegion": "eu-west-1",
    }
    return json.dumps({"Records": [record]}).encode()


def machine_of(library: Path) -> int:
    header = library.read_bytes()[:20]
    assert header[:4] == b"\x7fELF"
    return int.from_bytes(header[18:20], "little")


def files(folder: Path, kind: str = "*") -> set[Path]:
    return {path.relative_to(folder) for path in folder.rglob(kind) if path.is_file()}


def hashes(folder: Path) -> dict[Path, str]:
    """Return the hash of each file of a build, the template among them."""
    return {path: hashlib.sha256((folder / path).read_bytes()).hexdigest() for path in files(folder)}


def pins(path: Path) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9-]+)==([^\s;]+)", path.read_text(), re.MULTILINE))
