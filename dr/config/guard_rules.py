"""The guard's rules by name, and how a person takes one of them upon themselves."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Rule(StrEnum):
    """The rules, by the names that an override is given by."""

    BACKUP_BUCKET = "backup-bucket"
    BACKUP_RETENTION = "backup-retention"
    BACKUP_ACCESS = "backup-access"
    CLUSTER_SERVING = "cluster-serving"
    CLUSTER_LAST = "cluster-last"
    CLUSTER_HOUSE = "cluster-house"
    TRAFFIC_UNPROVEN = "traffic-unproven"
    TWO_WRITERS = "two-writers"
    TARGET_OUTSIDE = "target-outside"


MEANINGS: Mapping[Rule, str] = {
    Rule.BACKUP_BUCKET: "never delete or replace the bucket of the backups",
    Rule.BACKUP_RETENTION: "never shorten how long backups are kept",
    Rule.BACKUP_ACCESS: "never remove the account that writes the backups, or its rights",
    Rule.CLUSTER_SERVING: "never delete or replace the Cluster that takes the traffic",
    Rule.CLUSTER_LAST: "never delete or replace the last Cluster that holds data",
    Rule.CLUSTER_HOUSE: "never delete or replace what Clusters with data live in",
    Rule.TRAFFIC_UNPROVEN: "never move traffic to a Cluster that is not healthy and verified",
    Rule.TWO_WRITERS: "never name two writers for one serverName",
    Rule.TARGET_OUTSIDE: "never recover to a target outside the window",
}


@dataclass(frozen=True, kw_only=True)
class Override:
    """One rule, for one resource, until a moment (aware UTC), and why. Where it counts, it is written into the
    journal.
    """

    rule: Rule
    resource: str
    reason: str
    until: datetime

    def covers(self, rule: Rule, resource: str, *, now: datetime) -> bool:
        """Whether this lets ``rule`` be broken by ``resource`` at ``now``."""
        return (self.rule, self.resource) == (rule, resource) and now < self.until
