"""The manifests of what each group of commands has to be allowed: as values, as a table, for another environment."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).resolve().parents[2] / "deploy" / "rbac"
GROUPS = ("view", "drill", "recover", "finalize")
_PLACES = {
    "data": "`namespace`",
    "prod": "`workloads.namespace`",
    "cnpg-system": "`health.operatorNamespace`",
    "": "the cluster",
}


@dataclass(frozen=True, order=True)
class Allowed:
    """One permission: a verb on a resource, in a namespace of the manifests (empty for the whole cluster), perhaps only
    on objects of some names.
    """

    namespace: str
    group: str
    resource: str
    verb: str
    names: tuple[str, ...] = ()

    @property
    def what(self) -> str:
        """The resource as the table names it."""
        return f"{self.resource}.{self.group}" if self.group else self.resource


def documents(group: str) -> list[dict[str, Any]]:
    """The objects of one file."""
    return list(yaml.safe_load_all((FOLDER / f"{group}.yaml").read_text()))


def for_environment(name: str) -> str:
    """All manifests for an environment of another name than prod, to be applied."""
    texts = [(FOLDER / f"{group}.yaml").read_text() for group in GROUPS]
    whole = "---\n".join(texts)
    for old, new in (("namespace: prod", f"namespace: {name}"), ("postgres-dr-prod", f"postgres-dr-{name}")):
        whole = whole.replace(old, new)
    return whole.replace("postgres-prod-recovered", f"postgres-{name}-recovered")


def allowed_by(group: str) -> set[Allowed]:
    """What the roles of one file allow."""
    return {one for document in documents(group) if "rules" in document for one in _allowed(document)}


def _allowed(role: dict[str, Any]) -> Iterator[Allowed]:
    namespace = role["metadata"].get("namespace", "")
    for rule in role["rules"]:
        names = tuple(rule.get("resourceNames") or ())
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                for verb in rule["verbs"]:
                    yield Allowed(namespace, group, resource, verb, names)


def table() -> str:
    """The table of the documentation: for each resource the verbs of each group."""
    rows: dict[tuple[str, str], dict[str, list[str]]] = {}
    for group in GROUPS:
        for one in sorted(allowed_by(group)):
            verbs = rows.setdefault((one.namespace, one.what), {}).setdefault(group, [])
            verb = f"{one.verb}*" if one.names else one.verb
            if verb not in verbs and one.verb not in verbs:
                verbs.append(verb)
    lines = ["| where | what | " + " | ".join(GROUPS) + " |", "|---|---|" + "---|" * len(GROUPS)]
    before = None
    for namespace, what in sorted(rows, key=lambda row: (list(_PLACES).index(row[0]), row[1])):
        place = _PLACES[namespace] if namespace != before else ""
        cells = [", ".join(rows[namespace, what].get(group, ())) for group in GROUPS]
        lines.append(f"| {place} | {what} | " + " | ".join(cells) + " |")
        before = namespace
    return re.sub(r"\|  (?=\|)", "| ", "\n".join(lines)) + "\n"
