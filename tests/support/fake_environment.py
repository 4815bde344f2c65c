"""An environment at a double of the Kubernetes API, for operations that move the traffic."""

from collections.abc import Callable
from typing import Any

from dr.run.record import Record
from tests.support.builders import SOURCE_HOST, a_record, a_recovered, cluster_object, config_map_of, object_of
from tests.support.doubles import Asked, KubernetesDouble

CLUSTERS = "/apis/postgresql.cnpg.io/v1/namespaces/data/clusters"
BACKUPS = "/apis/postgresql.cnpg.io/v1/namespaces/data/backups"
DEPLOYMENTS = "/apis/apps/v1/namespaces/prod/deployments"
CRON_JOBS = "/apis/batch/v1/namespaces/prod/cronjobs"
SERVICE = "/api/v1/namespaces/data/services/prod-postgres"
RECORD = "/api/v1/namespaces/data/configmaps/postgres-dr-prod"
FENCED = "cnpg.io/fencedInstances"


class FakeEnvironment(KubernetesDouble):
    """An environment whose Clusters are fenced, and whose Deployments are scaled, the moment they are told so."""

    def __init__(self) -> None:
        super().__init__()
        self.did: list[str] = []
        self.others_do: dict[str, Callable[[], object]] = {}
        """What somebody else does right after this or that was done."""
        self.keep(f"{CLUSTERS}/postgres-prod", cluster_object())
        for name in ("postgres-prod-recovered", "other"):
            self.keep(f"{CLUSTERS}/{name}", object_of(a_recovered(name)))
            backed_up = {"phase": "completed", "backupId": "20260427T100000"}
            self.keep(f"{BACKUPS}/{name}-first", {"metadata": {"name": f"{name}-first"}, "status": backed_up})
        for name in ("api", "worker"):
            spec = {"replicas": 3, "selector": {"matchLabels": {"app": name}}, "template": {}}
            self.keep(f"{DEPLOYMENTS}/{name}", {"metadata": {"name": name, "generation": 1}, "spec": spec})
        for owner in ("shop-owner", "postgres-prod-recovered-app", "other-app"):
            data = {"username": "a2VlcGVy", "password": "c2VjcmV0"}
            self.keep(f"/api/v1/namespaces/data/secrets/{owner}", {"metadata": {"name": owner}, "data": data})
        record = a_record(a_recovered(), a_recovered("other"))
        self.remember(record.with_verified("postgres-prod-recovered", 7).with_verified("other", 7))
        self.points_to(SOURCE_HOST)

    def remember(self, record: Record) -> None:
        self.keep(RECORD, config_map_of(record))

    def points_to(self, host: str) -> None:
        self.keep(SERVICE, {"metadata": {"name": "prod-postgres"}, "spec": {"externalName": host}})

    @property
    def host(self) -> str:
        return str(self.objects[SERVICE]["spec"]["externalName"])

    @property
    def record(self) -> Record:
        return Record.model_validate_json(self.objects[RECORD]["data"]["record.json"])

    @property
    def counts(self) -> dict[str, int]:
        return {name: self.objects[f"{DEPLOYMENTS}/{name}"]["spec"]["replicas"] for name in ("api", "worker")}

    def scaled(self, name: str, count: int) -> None:
        there = self.objects[f"{DEPLOYMENTS}/{name}"]
        self.keep(f"{DEPLOYMENTS}/{name}", {**there, "spec": {**there["spec"], "replicas": count}})

    def fenced(self, name: str) -> bool:
        return FENCED in (self.objects[f"{CLUSTERS}/{name}"]["metadata"].get("annotations") or {})

    def _answer(self, asked: Asked) -> tuple[int, dict[str, Any]]:
        if asked.path.startswith("/apis/argoproj.io"):
            return 404, {}
        if asked.path == CLUSTERS:
            return 200, {"items": [found for path, found in self.objects.items() if path.startswith(CLUSTERS)]}
        if asked.path.endswith("/pods"):
            name = asked.query["labelSelector"].split(",")[0].removeprefix("cnpg.io/cluster=")
            there = f"{CLUSTERS}/{name}" in self.objects
            return 200, {
                "items": [{"metadata": {"name": f"{name}-1"}, "status": {"phase": "Running"}}] if there else []
            }
        if asked.method == "PATCH":
            patched = self._patched(asked)
            self.others_do.pop(self.did[-1], bool)()
            return 200, patched
        return super()._answer(asked)

    def _patched(self, asked: Asked) -> dict[str, Any]:
        path = asked.path.removesuffix("/scale")
        there, name = self.objects[path], path.rsplit("/", 1)[1]
        if path != asked.path:
            count = asked.body["spec"]["replicas"]
            self.did.append(f"{name} {count}")
            done = {"observedGeneration": 1, "replicas": count, "updatedReplicas": count, "availableReplicas": count}
            return self.keep(path, {**there, "spec": {**there["spec"], "replicas": count}, "status": done})
        if path.startswith(CRON_JOBS):
            suspended = asked.body["spec"]["suspend"]
            self.did.append(f"{name} {'suspended' if suspended else 'as before'}")
            return self.keep(path, {**there, "spec": {"suspend": suspended}})
        given = asked.body["metadata"]["annotations"]
        self.did.append(f"{name} {'fenced' if given.get(FENCED) else 'let go'}")
        merged = {**(there["metadata"].get("annotations") or {}), **given}
        annotations = {key: value for key, value in merged.items() if value is not None}
        return self.keep(path, {**there, "metadata": {**there["metadata"], "annotations": annotations}})
