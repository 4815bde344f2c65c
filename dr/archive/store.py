"""The object store that the backups are in: the one port to it, and the choice of what is behind it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from dr.archive.bucket import BucketFacts
from dr.config.backup_location import BackupLocation, Kind
from dr.core.errors import AccessError


@dataclass(frozen=True, kw_only=True)
class StoredObject:
    """An object of a listing: ``size`` in bytes, ``created`` in aware UTC; None where the store does not tell."""

    name: str
    size: int | None
    created: datetime | None


@dataclass(frozen=True, kw_only=True)
class Listing:
    """The objects below a prefix, and the folders (with a slash at the end) where only one level was asked for."""

    objects: tuple[StoredObject, ...]
    folders: tuple[str, ...]


class MissingObjectError(Exception):
    """There is no object of that name in the bucket."""


class Store(Protocol):
    """One bucket. Every method raises AccessError ``bucket-unreachable``, ``bucket-missing``, ``bucket-forbidden``,
    ``archive-encrypted``, or the code of the credentials that are missing.
    """

    def list_objects(self, prefix: str, *, delimiter: str = "", patient: bool = False) -> Listing:
        """All that begins with ``prefix``; ``delimiter`` ``/`` asks for one level. ``patient`` tries again for as long
        as the store's client does, here and below; else there is one try.
        """

    def read(self, name: str, *, patient: bool = False) -> bytes:
        """The whole object. Raises MissingObjectError."""

    def part(self, name: str, first: int, count: int) -> bytes:
        """At most ``count`` bytes from ``first`` on, as they lie there, in one try. Raises MissingObjectError."""

    def write(self, name: str, text: str) -> None:
        """Put a JSON document there, in place of an older one, in one try."""

    def facts(self) -> BucketFacts:
        """The bucket's own settings, in one try."""


def store_of(place: BackupLocation) -> Store:
    """The store that ``place`` is in. Raises AccessError where its client is not installed, or has no credentials."""
    # Imported here: of each store's client only the one that is used has to be installed.
    if place.store is Kind.S3:
        from dr.archive.s3 import S3Store

        return S3Store(place)
    if place.store is Kind.AZURE:
        from dr.archive.azure_blob import AzureStore

        return AzureStore(place)
    from dr.archive.gcs import GoogleStore

    return GoogleStore(place)


def unreachable(place: BackupLocation, why: str) -> AccessError:
    """That the store does not answer as it should."""
    return AccessError(
        "bucket-unreachable",
        f"the bucket {place.bucket} cannot be reached: {why}",
        f"check the network, and that the object store answers: {place.list_command}",
    )


def first_line(error: Exception) -> str:
    """What an exception of a store's client says, short enough for a sentence."""
    return (str(error).splitlines() or [type(error).__name__])[0][:300]
