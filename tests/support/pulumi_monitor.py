"""A Pulumi program under mocks: what it registers, with which options."""

from collections.abc import Callable
from typing import Any

import pulumi
import pytest
from pulumi.runtime.mocks import MockCallArgs, MockMonitor, MockResourceArgs, Mocks


class EchoMocks(Mocks):
    """Every resource becomes what was asked for."""

    def __init__(self) -> None:
        self.made: list[MockResourceArgs] = []

    def new_resource(self, args: MockResourceArgs) -> tuple[str | None, dict[Any, Any]]:
        self.made.append(args)
        return f"{args.name}-id", args.inputs

    def call(self, args: MockCallArgs) -> tuple[dict[Any, Any], list[tuple[str, str]] | None]:
        raise AssertionError(f"the program calls {args.token}")


class Monitor(MockMonitor):
    """Keeps the requests: mocks alone do not see options."""

    def __init__(self, mocks: EchoMocks) -> None:
        super().__init__(mocks)
        self.mocked = mocks
        self.requests: dict[str, Any] = {}

    @classmethod
    def installed(cls, stack: str) -> "Monitor":
        """The monitor that programs register with from now on, as the stack ``stack``."""
        monitor = cls(EchoMocks())
        pulumi.runtime.set_mocks(monitor.mocked, project="postgres-dr", stack=stack, preview=False, monitor=monitor)
        return monitor

    def RegisterResource(self, request: Any) -> Any:
        if request.type != "pulumi:pulumi:Stack":
            assert request.name not in self.requests, f"{request.name} is declared twice"
            self.requests[request.name] = request
        return super().RegisterResource(request)  # type: ignore[no-untyped-call]

    def inputs(self, name: str) -> dict[str, Any]:
        """The properties that a resource was asked for with."""
        return next(made.inputs for made in self.mocked.made if made.name == name)

    def of_type(self, typ: str) -> list[str]:
        """The names of the resources of one type."""
        return [name for name, request in self.requests.items() if request.type == typ]


def run_program(monkeypatch: pytest.MonkeyPatch, program: Callable[[], None]) -> dict[str, Any]:
    """Run a program to its end, and return what it exports."""
    exported: dict[str, Any] = {}
    monkeypatch.setattr(pulumi, "export", exported.__setitem__)
    pulumi.runtime.test(program)()  # type: ignore[no-untyped-call]  # the SDK leaves it untyped
    return exported
