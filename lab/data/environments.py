"""The environments as values: which names each has, and which addresses."""

from __future__ import annotations

from dataclasses import dataclass

DATABASES = "data"
"""The namespace of every database."""
DATABASE = "tomoda"
OWNER = "tomoda"
USERS = 100_000
"""Rows of table `users` in a fresh lab."""


@dataclass(frozen=True)
class Environment:
    """One environment; the namespace of its workloads has its name."""

    name: str
    service: str
    """The ExternalName Service in `DATABASES` through which its workloads reach the database."""
    api_address: str
    """The fixed cluster address of its API."""

    @property
    def cluster(self) -> str:
        return f"postgres-{self.name}"

    @property
    def secret(self) -> str:
        """CNPG keeps user and password of the application in `<cluster>-app`."""
        return f"{self.cluster}-app"

    @property
    def health_url(self) -> str:
        """Answers 200 while the API can read `users`; reached by the machine itself, as the machine is the node."""
        return f"http://{self.api_address}/health"

    @property
    def context(self) -> str:
        return f"lab-{self.name}"


ENVIRONMENTS = (
    Environment(name="dev", service="postgres-postgresql", api_address="10.96.100.10"),
    Environment(name="prod", service="prod-postgres-postgresql", api_address="10.96.100.11"),
)
