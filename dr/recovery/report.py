"""What came of an operation, as values: for people, for ``--json``, and for whatever reads the journal later."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dr.archive.promise import is_compared
from dr.core.commands import command_line
from dr.recovery.plan import RecoveryDecision
from dr.reports.summary import RunSummary
from dr.traffic.writer_model import scale_commands


@dataclass(frozen=True, kw_only=True)
class RecoveryReport(RunSummary):
    """A finished point-in-time recovery. Times are aware UTC, durations in seconds.

    ``seconds`` runs from the operator's yes to the end; ``cluster_seconds`` is CloudNativePG's own part of it, from the
    Cluster's creation to healthy. ``findings`` are (name, value, passed) in the order of asking.
    """

    decision: RecoveryDecision
    cluster_seconds: float
    findings: tuple[tuple[str, str, bool | None], ...]

    @property
    def compared(self) -> bool:
        """Whether it is known that it has all that it had to have."""
        return is_compared((name, passed) for name, _, passed in self.findings)

    @property
    def next_commands(self) -> list[str]:
        """The command that moves the traffic to the recovered cluster, ready to be pasted."""
        environment, name = self.environment, self.decision.cluster.name
        given = [] if name == environment.recovered_cluster else ["--recovered-name", name]
        return [environment.commands.dr("switchover", *given)]

    @property
    def by_hand(self) -> list[str]:
        """The commands that do the same without this tool, in order, ready to be pasted."""
        environment, cluster = self.environment, self.decision.cluster
        kubectl, patch = environment.commands.kubectl, f'{{"spec":{{"externalName":"{cluster.host}"}}}}'
        service = ("patch", "service", environment.service, "--type", "merge", "-p", patch)
        rollout = ("rollout", "status", "--timeout=5m")
        commands = [
            kubectl(*service, namespace=environment.namespace),
            *scale_commands(environment, self.decision.workloads),
            *(
                kubectl(*rollout, f"deployment/{workload.name}", namespace=environment.workloads.namespace)
                for workload in self.decision.workloads
            ),
        ]
        if environment.smoke_test_url:
            commands.append(
                command_line("curl", "-fsS", "--retry", "10", "--retry-all-errors", environment.smoke_test_url)
            )
        return commands

    @property
    def later(self) -> list[str]:
        """What is left to do once the recovered cluster has proved itself."""
        return [self.environment.commands.dr("finalize", *(["--checkout", "FOLDER"] if self.environment.git else []))]

    def as_json(self) -> Mapping[str, Any]:
        """The report as plain values."""
        cluster = self.decision.cluster
        return {
            "operation": self.decision.request.operation,
            "environment": self.environment.name,
            "result": "recovered" if self.compared else "recovered, not compared",
            "target": cluster.target,
            "cluster": cluster.name,
            "namespace": cluster.namespace,
            "host": cluster.host,
            "serverName": cluster.server_name,
            "baseBackup": self.decision.base.backup_id,
            "started": self.started.isoformat(),
            "seconds": round(self.seconds, 2),
            "clusterSeconds": round(self.cluster_seconds, 2),
            "steps": self.steps_as_json(),
            "verification": [{"name": name, "value": value, "passed": passed} for name, value, passed in self.findings],
            "next": self.next_commands,
            "byHand": self.by_hand,
            "journal": self.journal,
        }
