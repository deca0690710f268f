"""Fixtures of the local stack: functions of sample code, and a running stack of a small project."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from mailroom_ops.local.children import Children
from tests.local.project import FILES, FunctionFactory
from tests.running import Running, running


@pytest.fixture(params=["awslambdaric", "python"])
def factory(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[FunctionFactory]:
    """A factory of functions, for each of the two runtime clients."""
    if request.param == "awslambdaric":
        pytest.importorskip("awslambdaric", reason="needs awslambdaric, which has wheels for Linux only")
    children = Children()
    factory = FunctionFactory(tmp_path, children, request.param)
    yield factory
    factory.close()
    children.close()


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A running stack of the small project, which restarts on change."""
    root = tmp_path_factory.mktemp("project")
    for name, text in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    with running(root=root, secrets=root / "secrets.yaml", watch=True) as stack:
        yield stack
