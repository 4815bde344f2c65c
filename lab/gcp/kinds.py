"""What a type of resource is to the double: one description each, all of them in `table`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from lab.gcp.cloud import Values
from lab.gcp.errors import invalid
from lab.gcp.shapes import names_of, outputs_of

DELETION_POLICY = "deletionPolicy"
DELETE, PREVENT, ABANDON = "DELETE", "PREVENT", "ABANDON"

_PLACE = re.compile(r"\{(\w+)\}")
_PATTERNS = {
    "member": r"(?P<member>.+)",
    "role": r"(?P<role>roles/[^/ ]+|(?:projects|organizations)/[^/ ]+/roles/[^/ ]+)",
    "serviceAccountId": r"(?P<serviceAccountId>projects/[^/ ]+/serviceAccounts/[^/ ]+)",
}
"""Parts of an ID that hold a slash themselves; any other ends at one."""


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One type of resource. Properties are named as the schema names them; a dot leads below, past any index."""

    resource: type
    """The class of the SDK."""
    args: type
    """Its inputs."""
    api: str
    """The API that has to be enabled."""
    permission: str
    """Of the API, without its verb: `storage.buckets`."""
    id: str
    """How its ID is made of its properties."""
    imports: tuple[str, ...] = ()
    """Other forms by which it can be imported."""
    fixed: frozenset[str] = frozenset()
    """Cannot be changed: another value is another resource."""
    defaults: Mapping[str, Any] = field(default_factory=dict)
    """What the provider takes for an input that is not given."""
    by_server: frozenset[str] = frozenset()
    """Inputs that Google decides when they are not given: then whatever it has is no change."""
    by_provider: Mapping[str, Any] = field(default_factory=dict)
    """Inputs that Google knows nothing of: an import finds these values in them, and no value is one."""
    names: Mapping[str, str] = field(default_factory=dict)
    """Input -> the pattern that its value has to match."""
    references: Mapping[str, str] = field(default_factory=dict)
    """Input -> the token of the type that it names one of, by name, ID or URL."""
    autonamed: bool = True
    """Whether it gets a name when none is given."""
    quota: str | None = None
    """The quota that counts it."""
    outputs: Callable[[Values], Values] = lambda _: {}
    """What Google adds to it, from what it was asked for."""

    @cached_property
    def token(self) -> str:
        """`gcp:module/resource:Resource`."""
        return str(self.resource.pulumi_type)  # type: ignore[attr-defined]

    @cached_property
    def inputs(self) -> frozenset[str]:
        """Every input."""
        return frozenset(names_of(self.args).values())

    @cached_property
    def only_outputs(self) -> frozenset[str]:
        """Every property that is no input."""
        return frozenset(outputs_of(self.resource)) - self.inputs

    def id_of(self, properties: Mapping[str, Any]) -> str:
        """Its ID."""
        parts = {name: _short(name, properties[name], self) for name in _PLACE.findall(self.id)}
        return self.id.format(**parts)

    def parse(self, given: str, defaults: Mapping[str, str]) -> Values:
        """The properties that an ID names, in any of its forms.

        Args:
            given: the ID, as the state or somebody who imports it says.
            defaults: project, region and zone of the provider, for the forms that leave them out.

        Raises:
            GoogleError: it has none of the forms.
        """
        for form in (self.id, *self.imports):
            if (match := re.fullmatch(_pattern(form), given)) is not None:
                missing = {name: defaults[name] for name in _PLACE.findall(self.id) if name in defaults}
                return missing | match.groupdict()
        forms = ", ".join((self.id, *self.imports))
        raise invalid(f'Import id "{given}" doesn\'t match any of the accepted formats: [{forms}]')


def _pattern(form: str) -> str:
    found, at = "", 0
    for place in _PLACE.finditer(form):
        name = place.group(1)
        found += re.escape(form[at : place.start()]) + _PATTERNS.get(name, f"(?P<{name}>[^/ ]+)")
        at = place.end()
    return found + re.escape(form[at:])


def _short(name: str, value: Any, kind: Kind) -> str:
    """The last word of a reference, and any other value as it is."""
    text = str(value)
    return last_word(text) if name in kind.references and name not in _PATTERNS else text


def last_word(reference: str) -> str:
    """The name in a name, an ID or a URL."""
    return reference.rsplit("/", 1)[-1]
