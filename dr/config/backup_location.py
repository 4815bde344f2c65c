"""Where the backups of an environment are: the store, the bucket and the path in it, by their ``destinationPath``."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, PrivateAttr, model_validator

from dr.config.kubernetes_access import KubernetesAccess
from dr.config.stack_file import Section
from dr.core.commands import command_line


class Kind(StrEnum):
    """The kinds of object stores that CloudNativePG's Barman archives to."""

    GCS = "gcs"
    S3 = "s3"
    AZURE = "azure"


_FORMS = "gs://bucket/path, s3://bucket/path or https://ACCOUNT.blob.core.windows.net/container/path"
_OF_DESTINATION = {"store", "bucket", "path"}
_NOT_GOOGLES = {"endpoint_url": "endpointURL", "region": "region", "addressing_style": "addressingStyle"}


def _path(value: str) -> str:
    if value.startswith("/") or "//" in value:
        raise ValueError(
            "is not a path in a bucket; write one such as cnpg/prod, or leave it out for the bucket itself"
        )
    return value.rstrip("/")


def _endpoint(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query:
        raise ValueError("is not the URL of an object store; write one such as https://minio.example.org:9000")
    return value.rstrip("/")


class BackupLocation(Section):
    """Where base backups and WAL segments lie: ``<destinationPath>/<serverName>/{base,wals}/``. An empty ``path`` is
    the bucket itself.
    """

    destination_path: str | None = None
    """As CloudNativePG knows it, in place of ``store``, ``bucket`` and ``path``, which are read from it."""
    store: Annotated[Kind, Field(strict=False)] = Kind.GCS
    bucket: Annotated[str, Field(min_length=3, pattern=r"^[a-z0-9][-a-z0-9._]*$")]
    """Azure calls it a container."""
    path: Annotated[str, AfterValidator(_path)] = ""
    endpoint_url: Annotated[str | None, AfterValidator(lambda value: value and _endpoint(value))] = Field(
        default=None, alias="endpointURL"
    )
    """Where a store other than Amazon's is reached from here; of Azure the account's URL."""
    region: str | None = None
    """The bucket's region (S3); without it that of the AWS configuration."""
    addressing_style: Literal["path", "virtual"] | None = None
    """How the bucket's name goes into URLs (S3); without it boto3 chooses."""
    credentials: Literal["ambient", "cluster"] = "ambient"
    """``ambient``: as the store's own tools find them on this machine; ``cluster``: from the Secrets that the Cluster
    names which archives there."""
    _owner: tuple[KubernetesAccess, str] | None = PrivateAttr(default=None)

    @classmethod
    def is_at_google(cls, keys: Mapping[str, Any]) -> bool:
        """Whether what a file says of the place, which need not hold, is of Cloud Storage."""
        return keys.get("store", Kind.GCS) == Kind.GCS and str(keys.get("destinationPath", "gs://")).startswith("gs://")

    @property
    def owner(self) -> tuple[KubernetesAccess, str] | None:
        """The cluster and the namespace of the Clusters that archive there; None where that was not said."""
        return self._owner

    def belongs_to(self, kubernetes: KubernetesAccess, namespace: str) -> None:
        """Remember whose Clusters archive there. No part of what the file says of the place."""
        self._owner = (kubernetes, namespace)

    @property
    def root(self) -> str:
        """The ``destinationPath`` of the bucket itself."""
        if self.store is Kind.AZURE:
            return f"{self.endpoint_url}/{self.bucket}"
        return f"{'gs' if self.store is Kind.GCS else 's3'}://{self.bucket}"

    @property
    def url(self) -> str:
        """The ``destinationPath`` that CloudNativePG knows it by, without a slash at its end."""
        return f"{self.root}/{self.path}".rstrip("/")

    @property
    def prefix(self) -> str:
        """What the names of all objects below it begin with: empty, or with a slash at its end."""
        return f"{self.path}/" if self.path else ""

    @property
    def list_command(self) -> str:
        """How people list it, to see whether the store answers them."""
        if self.store is Kind.GCS:
            return command_line("gcloud", "storage", "ls", f"{self.url}/")
        if self.store is Kind.S3:
            endpoint = ["--endpoint-url", self.endpoint_url] if self.endpoint_url else []
            return command_line("aws", "s3", "ls", f"{self.url}/", *endpoint)
        of = ["--blob-endpoint", str(self.endpoint_url), "--container-name", self.bucket]
        prefix = ["--prefix", self.prefix] if self.path else []
        return command_line("az", "storage", "blob", "list", *of, *prefix)

    @model_validator(mode="before")
    @classmethod
    def _taken_apart(cls, keys: Any) -> Any:
        given = keys.get("destinationPath") if isinstance(keys, Mapping) else None
        if given is None:
            return keys
        if twice := sorted(_OF_DESTINATION & keys.keys()):
            raise ValueError(f"destinationPath says it already: leave {', '.join(twice)} out")
        rest = {key: value for key, value in keys.items() if key != "destinationPath"}
        return {**rest, **_parts_of(str(given), endpoint=rest.get("endpointURL"))}

    @model_validator(mode="after")
    def _of_one_kind(self) -> Self:
        if self.store is Kind.GCS:
            foreign = [key for name, key in _NOT_GOOGLES.items() if getattr(self, name) is not None]
            foreign += ["credentials"] if self.credentials != "ambient" else []
            if foreign:
                raise ValueError(
                    f"{foreign[0]} is not for a bucket of Cloud Storage: leave it out, or write one of {_FORMS}"
                )
        if self.store is Kind.AZURE and self.endpoint_url is None:
            raise ValueError("for Azure write destinationPath: https://ACCOUNT.blob.core.windows.net/container/path")
        return self


def _parts_of(given: str, *, endpoint: object) -> Mapping[str, Any]:
    """The keys that ``destinationPath`` stands for. Azure's is a URL with the account in it, as a host such as
    ``account.blob.core.windows.net``, or as the first part of the path where the storage is an emulated one (barman's
    ``azure_blob_storage.py``).
    """
    scheme, cut, rest = given.rstrip("/").partition("://")
    host, *parts = rest.split("/")
    if scheme in {"gs", "s3"} and cut:
        return {"store": Kind.GCS if scheme == "gs" else Kind.S3, "bucket": host, "path": "/".join(parts)}
    before = 0 if ".blob." in host else 1
    if scheme not in {"http", "https"} or len(parts) <= before or endpoint is not None:
        raise ValueError(f"destinationPath is {given!r}: write one of {_FORMS}")
    return {
        "store": Kind.AZURE,
        "endpointURL": "/".join([f"{scheme}://{host}", *parts[:before]]),
        "bucket": parts[before],
        "path": "/".join(parts[before + 1 :]),
    }
