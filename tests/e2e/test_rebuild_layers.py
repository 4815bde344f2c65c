"""The layers of a rebuild under the real engine, with the double of Google: what it refuses, and what passes by itself.

They need of the lab only its Pulumi.
"""

import gc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dr.core.errors import EngineError
from dr.engine.command import find_pulumi
from dr.guard.rules import Seen
from dr.rebuild import layers
from dr.rebuild.layers import InfrastructureLayer, Watch, bring_up
from lab.environment import environment
from lab.gcp import faults
from lab.gcp.faults import Fault
from tests.support.doubles import Impatient
from tests.support.google import Google, serving_google
from tests.support.infra_fixtures import PROJECT, a_durable

# The Automation API leaves event loops and sockets behind, which a command that ends does not notice.
pytestmark = [
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture
def google(tmp_path: Path, own_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Google]:
    """A double over an empty cloud, the lab's Pulumi on the path, and nobody who waits for long."""
    monkeypatch.setenv("PATH", environment()["PATH"])
    monkeypatch.setenv("PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION", "true")
    monkeypatch.setattr(layers, "_WAITS", (0.1, 0.2, 0.3))
    with serving_google(tmp_path / "cloud.json", project=PROJECT) as found:
        for name, value in found.double.variables().items():
            monkeypatch.setenv(name, value)
        yield found
    gc.collect()  # while the warnings are still let pass


def _up(said: Callable[[str], None] = lambda _: None) -> str:
    layer = InfrastructureLayer(a_durable(), find_pulumi())
    layer.claim(take_over=False)
    return bring_up(layer, Seen(), Watch(stop=Impatient(), say=said))


def _inject(google: Google, fault: Fault) -> None:
    with google.cloud.change() as contents:
        faults.inject(contents, fault)


def test_a_stack_that_was_stopped_by_a_quota_comes_up_when_it_is_lifted_and_then_has_nothing_to_do(
    google: Google,
) -> None:
    _inject(google, Fault(answer="quota", on="*Bucket", operation="create", times=1))
    with pytest.raises(EngineError) as refused:
        _up()
    assert refused.value.code == "quota-exceeded"
    assert "Insufficient regional quota" in refused.value.cause
    assert _up().startswith("creates ")
    assert _up() == "nothing to do: it is as it should be"


def test_what_is_not_known_everywhere_yet_is_waited_for(google: Google) -> None:
    _inject(google, Fault(answer="propagation", on="*BucketIAMMember", operation="create", times=2))
    said: list[str] = []
    assert "creates " in _up(said.append)
    assert any("not known everywhere at Google yet: waiting" in line for line in said)


@pytest.mark.parametrize(
    ("answer", "code"), [("api-disabled", "api-not-enabled"), ("permission", "permission-missing")]
)
def test_what_waiting_does_not_help_ends_at_once_with_what_does(google: Google, answer: str, code: str) -> None:
    _inject(google, Fault(answer=answer, on="*Account", operation="create"))
    with pytest.raises(EngineError) as refused:
        _up()
    assert refused.value.code == code
