"""Azure Blob Storage, as the store of the backups."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from dr.archive.bucket import BucketFacts
from dr.archive.store import Listing, MissingObjectError, StoredObject, first_line, unreachable
from dr.archive.store_keys import values_of_cluster
from dr.config.backup_location import BackupLocation
from dr.config.extras import AZURE, require
from dr.core.errors import AccessError

_ONCE: Mapping[str, Any] = {"retry_total": 0, "connection_timeout": 3, "read_timeout": 10}
_ENVIRONMENT = {
    "connectionString": "AZURE_STORAGE_CONNECTION_STRING",
    "storageSasToken": "AZURE_STORAGE_SAS_TOKEN",
    "storageKey": "AZURE_STORAGE_KEY",
}
"""barman's own variables, by the keys of a Cluster's ``azureCredentials``, in the order that barman asks them in."""


class AzureStore:
    """A container, by barman's variables, else by Azure's default login, or by the keys of the Cluster."""

    def __init__(self, place: BackupLocation) -> None:
        """Find the credentials; the container is not asked. Raises AccessError ``extra-missing`` or
        ``store-credentials``, and those of the Kubernetes API where the Cluster lends its keys.
        """
        self._place = place
        require(AZURE)
        given = (
            values_of_cluster(place, "azureCredentials")
            if place.credentials == "cluster"
            else {key: value for key, name in _ENVIRONMENT.items() if (value := os.environ.get(name))}
        )
        with self._explained():
            self._patient = self._container(given)
            self._once = self._container(given, **_ONCE)

    def _container(self, given: Mapping[str, str], **options: Any) -> Any:
        from azure.identity import DefaultAzureCredential
        from azure.storage.blob import ContainerClient

        name = self._place.bucket
        if connection := given.get("connectionString"):
            return ContainerClient.from_connection_string(connection, container_name=name, **options)
        credential = given.get("storageSasToken") or given.get("storageKey")
        if credential is None:
            credential = DefaultAzureCredential()
        return ContainerClient(
            account_url=self._place.endpoint_url, container_name=name, credential=credential, **options
        )

    def list_objects(self, prefix: str, *, delimiter: str = "", patient: bool = False) -> Listing:
        """As in the port."""
        from azure.storage.blob import BlobPrefix

        client = self._patient if patient else self._once
        objects: list[StoredObject] = []
        folders: list[str] = []
        with self._explained():
            if delimiter:
                found = client.walk_blobs(name_starts_with=prefix or None, delimiter=delimiter)
            else:
                found = client.list_blobs(name_starts_with=prefix or None)
            for one in found:
                if isinstance(one, BlobPrefix):
                    folders.append(one.name)
                else:
                    objects.append(StoredObject(name=one.name, size=one.size, created=one.creation_time))
        return Listing(objects=tuple(objects), folders=tuple(folders))

    def read(self, name: str, *, patient: bool = False) -> bytes:
        """As in the port."""
        return self._read(self._patient if patient else self._once, name)

    def part(self, name: str, first: int, count: int) -> bytes:
        """As in the port."""
        return self._read(self._once, name, offset=first, length=count)

    def _read(self, client: Any, name: str, **options: int) -> bytes:
        from azure.core.exceptions import ResourceNotFoundError

        with self._explained():
            try:
                return bytes(client.download_blob(name, **options).readall())
            except ResourceNotFoundError as error:
                if _code(error) == "ContainerNotFound":
                    raise
                raise MissingObjectError(name) from error

    def write(self, name: str, text: str) -> None:
        """As in the port."""
        with self._explained():
            self._once.upload_blob(name, text.encode(), overwrite=True)

    def facts(self) -> BucketFacts:
        """Raises AccessError ``bucket-settings-unknown``: where the account is and what it deletes is asked of Azure's
        management, not of the store.
        """
        raise AccessError(
            "bucket-settings-unknown",
            f"the region and the lifecycle rules of {self._place.bucket} are set for the storage account, which the "
            "store does not tell",
            "look there by its own tools (az storage account management-policy show); health.acknowledged takes the "
            "finding",
        )

    @contextmanager
    def _explained(self) -> Iterator[None]:
        from azure.core.exceptions import AzureError

        try:
            yield
        except AzureError as error:
            raise self._refused(error) from error
        except (OSError, ValueError) as error:
            raise unreachable(self._place, first_line(error)) from error

    def _refused(self, error: Any) -> AccessError:
        name, status = self._place.bucket, getattr(error, "status_code", None)
        code = _code(error)
        if code.startswith("KeyVault"):
            return AccessError(
                "archive-encrypted",
                f"what lies in the container {name} is encrypted with a key that cannot be used: {first_line(error)}",
                "enable the key in Key Vault, and let the storage account use it; without the key nothing there can be "
                "read",
            )
        if code == "ContainerNotFound":
            return AccessError(
                "bucket-missing",
                f"there is no container {name} at {self._place.endpoint_url}",
                "correct backup.destinationPath; if the container is gone, so are the backups",
            )
        if status == 401 or code == "AuthenticationFailed" or (status is None and _is_login(error)):
            return AccessError(
                "store-credentials",
                f"there are no credentials for the container {name} that work: {first_line(error)}",
                "log in (az login), set AZURE_STORAGE_CONNECTION_STRING, AZURE_STORAGE_SAS_TOKEN or AZURE_STORAGE_KEY, "
                "or write backup.credentials: cluster",
            )
        if status == 403:
            return AccessError(
                "bucket-forbidden",
                f"the container {name} does not let this user in: {first_line(error)}",
                "the role Storage Blob Data Reader on the container is enough",
            )
        return unreachable(self._place, first_line(error))


def _code(error: Any) -> str:
    """Azure's own code of a failure, empty without one. The client has an enumeration of those that it knows."""
    code = getattr(error, "error_code", None) or ""
    return str(getattr(code, "value", code))


def _is_login(error: Exception) -> bool:
    from azure.core.exceptions import ClientAuthenticationError

    return isinstance(error, ClientAuthenticationError)
