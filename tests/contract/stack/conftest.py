"""The router that the fidelity tests of the embedded stack share: one a module."""

from collections.abc import Iterator

import pytest

from batchmill.local.router import Router
from contract.stack.stack_support import FakeLambda, Machines


@pytest.fixture(scope="module")
def router() -> Iterator[Router]:
    router = Router()
    router.start()
    yield router
    router.stop()


@pytest.fixture
def functions(router: Router) -> FakeLambda:
    fake = FakeLambda()
    router.mount("lambda", fake)
    return fake


@pytest.fixture
def machines(router: Router) -> Machines:
    return Machines(router)
