"""One resource of the infrastructure as a value: what it is called in a stack, in Google's API, and in an import."""

from dataclasses import dataclass
from enum import StrEnum

from dr.config.stack_file import PROJECT

_WORDS = {
    *("projects", "regions", "locations", "global"),
    *("networks", "subnetworks", "routers", "clusters", "nodePools", "serviceAccounts"),
}
"""What stands in IDs beside names."""


class Api(StrEnum):
    """Google's APIs that are read, by the word that the provider's variables have for them."""

    STORAGE = "STORAGE"
    IAM = "IAM"
    RESOURCE_MANAGER = "RESOURCE_MANAGER"
    COMPUTE = "COMPUTE"
    CONTAINER = "CONTAINER"
    SECRET_MANAGER = "SECRET_MANAGER"  # noqa: S105 - the API's name


@dataclass(frozen=True, kw_only=True)
class Named:
    """A thing with a path of its own, and the list that it has to be in as long as it exists."""

    api: Api
    path: str
    listing: str
    items: str
    """The field of the list's answer that holds the things."""
    key: str
    """The field of a thing that tells it from others, with ``value``."""
    value: str
    within: "Named | None" = None
    """What it is gone with."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """An entry in a list that is a field of another thing: a NAT in its router."""

    of: Named
    field: str
    name: str


@dataclass(frozen=True, kw_only=True)
class Member:
    """One member of one role in the IAM policy at ``path``; it is gone with the thing that the policy is of."""

    api: Api
    path: str
    method: str
    role: str
    member: str
    of: Named | None = None


Place = Named | Entry | Member


@dataclass(frozen=True, kw_only=True)
class Component:
    """The ComponentResource that a resource stands below."""

    name: str
    type: str

    @property
    def token(self) -> str:
        """Its type, as Pulumi knows it."""
        return f"{PROJECT}:infrastructure:{self.type}"


@dataclass(frozen=True, kw_only=True)
class CloudResource:
    """One resource. ``name`` is its name in the stack, ``title`` what a person calls it."""

    name: str
    type: str
    component: Component
    import_id: str
    title: str
    place: Place

    def is_known_as(self, given: str) -> bool:
        """Whether ``given``, an ID of a state, is of this very thing. A provider writes some IDs in another form than
        it takes them for an import; the names in them are the same, in the same order.
        """
        return _names(given) == _names(self.import_id)

    def urn(self, stack: str) -> str:
        """Its name in the state of ``stack``."""
        return f"urn:pulumi:{stack}::{PROJECT}::{self.component.token}${self.type}::{self.name}"


def _names(given: str) -> list[str]:
    return [part for part in given.replace(" ", "/").split("/") if part not in _WORDS]


def component_urn(component: Component, stack: str) -> str:
    """A component's name in the state of ``stack``."""
    return f"urn:pulumi:{stack}::{PROJECT}::{component.token}::{component.name}"
