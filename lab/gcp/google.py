"""Google, as far as the double goes: makes, tells, changes and removes what is in the cloud, and refuses what it would.

What it is told to do it does to its end, whoever waits for it: a cluster that is being made goes on being made when the
engine that asked for it is killed, and is then there without any state knowing of it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from lab.gcp import errors, faults, resource_types, rules
from lab.gcp.backend import Backend
from lab.gcp.cloud import Cloud, Contents, Values
from lab.gcp.errors import GoogleError, RefusedByProviderError
from lab.gcp.kinds import ABANDON, DELETION_POLICY, PREVENT, Kind, last_word

_LOOK_EVERY = 0.2
_IDEMPOTENT = {
    kind.token for kind in (resource_types.BUCKET_MEMBER, resource_types.ACCOUNT_MEMBER, resource_types.PROJECT_MEMBER)
}
"""To grant what is granted already is no error."""


class Google:
    """The operations.

    Args:
        cloud: what there is.
        ground: what it stands on.
        defaults: `project`, `region` and `zone` of the provider, for inputs that leave them out.
    """

    def __init__(self, cloud: Cloud, backend: Backend, defaults: Mapping[str, str]) -> None:
        self.cloud = cloud
        self.backend = backend
        self.defaults = dict(defaults)

    def create(self, kind: Kind, inputs: Values) -> tuple[str, Values]:
        """Make a resource; its ID and properties.

        Raises:
            GoogleError: it cannot be made.
        """
        properties = self._filled(kind, inputs, self.cloud.read())
        self.call(kind, "create", properties.get("name", kind.token))
        with self.cloud.change() as contents:
            key = self._admit(contents, kind, properties)
            contents.of(kind.token)[key] = properties
            contents.calls.append(f"create {kind.token} {key}")
        if kind is resource_types.BUCKET:
            self.backend.make_bucket(properties["name"])
        elif kind is resource_types.CLUSTER:
            self._bring_up(key, properties)
        return key, self._present(kind, self.cloud.read().of(kind.token)[key], inputs)

    def read(self, kind: Kind, given: str, state: Values) -> tuple[str, Values] | None:
        """A resource as it is, by any form of its ID; None if it is not there.

        Args:
            kind: its type.
            given: its ID.
            state: what was known of it, for what Google knows nothing of; empty for an import.
        """
        parts = kind.parse(given, self.defaults)
        key = given if given in self.cloud.read().of(kind.token) else _key(kind, parts)
        self.call(kind, "read", key)
        found = self._at_rest(kind, key)
        return None if found is None else (key, self._present(kind, found, state))

    def _at_rest(self, kind: Kind, key: str) -> Values | None:
        """A resource once nothing is done to it any more: the provider waits for a cluster that is being made."""
        while (found := self.cloud.read().of(kind.token).get(key)) is not None:
            if kind is not resource_types.CLUSTER or found.get("endpoint"):
                break
            time.sleep(_LOOK_EVERY)
        return found

    def update(self, kind: Kind, key: str, inputs: Values) -> Values:
        """Change a resource in place; its properties.

        Raises:
            GoogleError: it is gone, or cannot be so.
        """
        self.call(kind, "update", key)
        with self.cloud.change() as contents:
            there = contents.of(kind.token)
            if key not in there:
                raise errors.not_found(key)
            properties = self._filled(kind, _kept(kind, there[key], inputs), contents)
            rules.require_references(contents, kind, properties)
            if kind.token in rules.ON_UPDATE:
                rules.ON_UPDATE[kind.token](contents, properties)
            there[key] = properties
            contents.calls.append(f"update {kind.token} {key}")
        return self._present(kind, properties, inputs)

    def delete(self, kind: Kind, key: str, state: Values) -> None:
        """Remove a resource; one that is gone already is no error.

        Raises:
            RefusedByProviderError: its own properties, as the state has them, forbid it.
            GoogleError: something stands on it.
        """
        if not self._may_go(kind, key, state):
            return
        self.call(kind, "delete", key)
        if kind is resource_types.BUCKET and self.backend.objects_in(key):
            if not state.get("forceDestroy"):
                why = f"Error trying to delete bucket {key} containing objects without `force_destroy` set to true"
                raise RefusedByProviderError(why)
            self.backend.remove_bucket(key)
        with self.cloud.change() as contents:
            found = contents.of(kind.token).get(key)
            if found is None:
                return
            if kind.token in rules.ON_DELETE:
                rules.ON_DELETE[kind.token](contents, found)
            contents.of(kind.token).pop(key, None)
            contents.calls.append(f"delete {kind.token} {key}")
        if kind is resource_types.BUCKET:
            self.backend.remove_bucket(key)
        elif kind is resource_types.CLUSTER:
            self.backend.remove_cluster(found)

    def call(self, kind: Kind, operation: str, what: str) -> None:
        """Let a call through, or raise what is to go wrong with it."""
        refused: GoogleError | None = None
        with self.cloud.change() as contents:
            if kind.api in contents.disabled:
                refused = errors.api_disabled(kind.api)
            elif (permission := f"{kind.permission}.{_VERBS[operation]}") in contents.denied:
                refused = errors.denied(permission, what)
            else:
                refused = faults.meet(contents, kind, operation, what)
        if refused is not None:
            raise refused

    def _admit(self, contents: Contents, kind: Kind, properties: Values) -> str:
        """The ID of what may be made."""
        there = contents.of(kind.token)
        key = kind.id_of(properties)
        if key in there and kind.token not in _IDEMPOTENT:
            if kind is resource_types.BUCKET:
                message = "Your previous request to create the named bucket succeeded and you already own it."
                raise GoogleError(409, message, "conflict")
            raise errors.already_exists(key)
        rules.require_references(contents, kind, properties)
        if kind.token in rules.ON_CREATE:
            rules.ON_CREATE[kind.token](contents, properties)
        limit = contents.quotas.get(kind.quota or "")
        if limit is not None and len(there) >= limit:
            raise errors.quota_exceeded(str(kind.quota), limit, "globally")
        return key

    def _bring_up(self, key: str, cluster: Values) -> None:
        """Bring the cluster up that was just admitted. Until it runs it is there, and cannot be reached."""
        try:
            reached = self.backend.make_cluster(cluster)
        except GoogleError:
            with self.cloud.change() as contents:
                contents.of(resource_types.CLUSTER.token).pop(key, None)
            raise
        dns = reached.pop("dnsEndpoint")
        with self.cloud.change() as contents:
            properties = contents.of(resource_types.CLUSTER.token).get(key)
            if properties is None:
                raise errors.not_found(key)
            properties |= reached
            config = properties.setdefault("controlPlaneEndpointsConfig", {})
            config["dnsEndpointConfig"] = {**config.get("dnsEndpointConfig", {}), "endpoint": dns}

    def _filled(self, kind: Kind, inputs: Values, contents: Contents) -> Values:
        """The properties as Google keeps them: defaults filled in, references written out, outputs added."""
        given = {name: value for name, value in inputs.items() if value is not None and name not in kind.by_provider}
        places = {name: value for name, value in self.defaults.items() if name in kind.inputs}
        if kind in (resource_types.CLUSTER, resource_types.NODE_POOL) and "location" not in given:
            places["location"] = self.defaults.get("zone") or self.defaults.get("region", "")
        cluster = str(given.get("cluster", ""))
        if kind is resource_types.NODE_POOL and "/" in cluster:
            places["location"] = cluster.split("/")[-3]
        properties = {**kind.defaults, **places, **given}
        for name in kind.references:
            if name in properties and kind is not resource_types.ACCOUNT_MEMBER:
                properties[name] = _written_out(contents.of(kind.references[name]), str(properties[name]))
        return {**properties, **kind.outputs(properties)}

    def _present(self, kind: Kind, found: Values, state: Values) -> Values:
        """What the provider tells of it: as it is, and what Google knows nothing of as it was known, or by default."""
        own = {name: state[name] if state.get(name) is not None else value for name, value in kind.by_provider.items()}
        return {**found, **{name: value for name, value in own.items() if value is not None}}

    def _may_go(self, kind: Kind, key: str, state: Values) -> bool:
        if state.get("deletionProtection"):
            raise RefusedByProviderError(
                "Cannot destroy cluster because deletion_protection is set to true. Set it to false to proceed with "
                "cluster deletion."
            )
        policy = state.get(DELETION_POLICY)
        if policy == PREVENT:
            what = f"cannot destroy {kind.token} {key}"
            raise RefusedByProviderError(f'{what} without setting deletion_policy="DELETE": it is "PREVENT"')
        return policy != ABANDON


def _kept(kind: Kind, old: Values, new: Values, above: str = "") -> Values:
    """`new`, and of `old` what Google decided or added."""
    kept = dict(new)
    for name, value in old.items():
        dotted = f"{above}{name}"
        if isinstance(value, dict) and isinstance(new.get(name), dict):
            kept[name] = _kept(kind, value, new[name], f"{dotted}.")
        elif new.get(name) is None and (dotted in kind.by_server or dotted in kind.only_outputs):
            kept[name] = value
    return kept


def _written_out(there: dict[str, Values], reference: str) -> str:
    """A reference as Google tells it: by URL where the resource has one, and else by name."""
    key = next((key for key in there if rules.names(reference, key)), None)
    if key is None:
        return reference
    link = str(there[key].get("selfLink", key))
    return link if link.startswith(resource_types.COMPUTE) and "/routers/" not in link else last_word(key)


_VERBS = {"create": "create", "read": "get", "update": "update", "delete": "delete"}


def _key(kind: Kind, parts: dict[str, Any]) -> str:
    try:
        return kind.id_of(parts) if kind is not resource_types.ACCOUNT else kind.id.format(**parts)
    except KeyError as missing:
        raise errors.invalid(f"the ID does not say the {missing}, and the provider has no default for it") from None
