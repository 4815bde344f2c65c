"""S3, and each store that speaks its protocol, as the store of the backups."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from dr.archive.bucket import BucketFacts, DeleteRule
from dr.archive.store import Listing, MissingObjectError, StoredObject, first_line, unreachable
from dr.archive.store_keys import values_of_cluster
from dr.config.backup_location import BackupLocation
from dr.config.extras import S3, require
from dr.core.errors import AccessError

_CONNECT_SECONDS, _READ_SECONDS = 3, 10
_POOL = 20
"""Connections that are kept; more are opened than this where an archive of many base backups is read."""
_ABSENT = {"NoSuchKey", "404", "NoSuchVersion"}
_NOT_SET = "NoSuchLifecycleConfiguration"
_KEYS = {
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "ExpiredToken",
    "InvalidToken",
    "TokenRefreshRequired",
    "RequestTimeTooSkewed",
}
_NOT_KNOWN = {"NotImplemented", "MethodNotAllowed", "501", "405", "XNotImplemented"}


class S3Store:
    """A bucket of S3, by the credentials that the AWS configuration of this machine gives (environment, profile, role
    of a pod or a machine), or by those of the Cluster.
    """

    def __init__(self, place: BackupLocation) -> None:
        """Find the credentials; the bucket is not asked. Raises AccessError ``extra-missing`` or
        ``store-credentials``, and those of the Kubernetes API where the Cluster lends its keys.
        """
        self._place = place
        require(S3)
        import boto3

        given: Mapping[str, str] = {}
        if place.credentials == "cluster":
            given = values_of_cluster(place, "s3Credentials")
        with self._explained():
            self._session = boto3.session.Session(
                aws_access_key_id=given.get("accessKeyId"),
                aws_secret_access_key=given.get("secretAccessKey"),
                aws_session_token=given.get("sessionToken"),
                region_name=place.region or given.get("region"),
            )
            self._patient = self._client(connect_timeout=60, read_timeout=60, retries={"mode": "standard"})
            self._once = self._client(
                connect_timeout=_CONNECT_SECONDS, read_timeout=_READ_SECONDS, retries={"total_max_attempts": 1}
            )

    def _client(self, **options: Any) -> Any:
        from botocore.config import Config

        style = {"addressing_style": self._place.addressing_style} if self._place.addressing_style else None
        config = Config(
            s3=style,
            max_pool_connections=_POOL,
            # Stores of others answer without the checksums that boto3 asks for since 1.36.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            **options,
        )
        return self._session.client("s3", endpoint_url=self._place.endpoint_url, config=config)

    def list_objects(self, prefix: str, *, delimiter: str = "", patient: bool = False) -> Listing:
        """As in the port."""
        objects: list[StoredObject] = []
        folders: list[str] = []
        with self._explained():
            pages = (self._patient if patient else self._once).get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=self._place.bucket, Prefix=prefix, Delimiter=delimiter):
                folders += [one["Prefix"] for one in page.get("CommonPrefixes") or ()]
                objects += [
                    StoredObject(name=one["Key"], size=one.get("Size"), created=one.get("LastModified"))
                    for one in page.get("Contents") or ()
                ]
        return Listing(objects=tuple(objects), folders=tuple(folders))

    def read(self, name: str, *, patient: bool = False) -> bytes:
        """As in the port."""
        return self._read(self._patient if patient else self._once, name)

    def part(self, name: str, first: int, count: int) -> bytes:
        """As in the port."""
        return self._read(self._once, name, Range=f"bytes={first}-{first + count - 1}")

    def _read(self, client: Any, name: str, **options: str) -> bytes:
        from botocore.exceptions import ClientError

        with self._explained():
            try:
                return bytes(client.get_object(Bucket=self._place.bucket, Key=name, **options)["Body"].read())
            except ClientError as error:
                if _code(error) in _ABSENT:
                    raise MissingObjectError(name) from error
                raise

    def write(self, name: str, text: str) -> None:
        """As in the port."""
        with self._explained():
            self._once.put_object(
                Bucket=self._place.bucket, Key=name, Body=text.encode(), ContentType="application/json"
            )

    def facts(self) -> BucketFacts:
        """As in the port. Raises AccessError ``bucket-settings-unknown`` where the store has no such question."""
        with self._explained():
            # Of us-east-1 there is no constraint, and EU is an old name (S3's API reference, GetBucketLocation).
            region = self._once.get_bucket_location(Bucket=self._place.bucket).get("LocationConstraint") or "us-east-1"
            rules = self._lifecycle().get("Rules") or ()
        return BucketFacts(location="eu-west-1" if region == "EU" else region, deletes=tuple(delete_rules(rules)))

    def _lifecycle(self) -> Mapping[str, Any]:
        """The bucket's lifecycle configuration, empty where it has none."""
        from botocore.exceptions import ClientError

        try:
            found: Mapping[str, Any] = self._once.get_bucket_lifecycle_configuration(Bucket=self._place.bucket)
        except ClientError as error:
            if _code(error) == _NOT_SET:
                return {}
            raise
        return found

    @property
    def _user(self) -> str:
        """Who asks, as far as this machine knows."""
        found = self._session.get_credentials()
        return f"access key {found.access_key}, by {found.method}" if found else "nobody"

    @contextmanager
    def _explained(self) -> Iterator[None]:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            yield
        except ClientError as error:
            raise self._refused(error) from error
        except BotoCoreError as error:
            if re.search(r"Credential|Token|Profile|SSO", type(error).__name__):
                raise self._no_credentials(error) from error
            raise unreachable(self._place, first_line(error)) from error
        except (OSError, ValueError) as error:
            raise unreachable(self._place, first_line(error)) from error

    def _refused(self, error: Any) -> AccessError:
        bucket, code = self._place.bucket, _code(error)
        message = str(error.response.get("Error", {}).get("Message"))
        if code.startswith("KMS.") or "kms:" in message:
            return AccessError(
                "archive-encrypted",
                f"what lies in the bucket {bucket} is encrypted with a key that cannot be used: {first_line(error)}",
                "enable the key in KMS, and let this user use it (kms:Decrypt); without the key nothing there can be "
                "read",
            )
        if code == "NoSuchBucket":
            return AccessError(
                "bucket-missing",
                f"there is no bucket {bucket}",
                "correct backup.destinationPath and backup.endpointURL; if the bucket is gone, so are the backups",
            )
        if code in _KEYS:
            return self._no_credentials(error)
        if code in _NOT_KNOWN:
            return AccessError(
                "bucket-settings-unknown",
                f"the store of {bucket} does not say what is set for a bucket: {first_line(error)}",
                "look there by its own tools for how long it keeps objects; health.acknowledged takes the finding",
            )
        if code in {"AccessDenied", "403", "401"}:
            return AccessError(
                "bucket-forbidden",
                f"the bucket {bucket} does not let this user in ({self._user}): {first_line(error)}",
                "s3:ListBucket on the bucket and s3:GetObject on what is in it are enough to read; of its settings "
                "s3:GetBucketLocation and s3:GetLifecycleConfiguration",
            )
        return unreachable(self._place, first_line(error))

    def _no_credentials(self, error: Exception) -> AccessError:
        return AccessError(
            "store-credentials",
            f"there are no credentials for the bucket {self._place.bucket} that work: {first_line(error)}",
            "log in (aws sso login, AWS_PROFILE, AWS_ACCESS_KEY_ID), run where a role gives them, or write "
            "backup.credentials: cluster",
        )


def _code(error: Any) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def delete_rules(rules: Any) -> Iterator[DeleteRule]:
    """Those of a bucket's lifecycle rules that may delete what is current (S3's API reference, ``LifecycleRule``). All
    that a rule's filter asks for has to hold: what it is besides a prefix is shown with it.
    """
    for rule in rules:
        expiration = rule.get("Expiration") or {}
        if rule.get("Status") != "Enabled" or not {"Days", "Date"} & expiration.keys():
            continue
        given = rule.get("Filter") or {}
        asked = {**given, **(given.get("And") or {})}
        prefix = asked.get("Prefix") or rule.get("Prefix") or ""
        more = {key: value for key, value in asked.items() if key not in {"Prefix", "And"}}
        if "Date" in expiration:
            more["Date"] = expiration["Date"]
        yield DeleteRule(
            age_days=expiration.get("Days"),
            prefixes=(prefix,) if prefix else (),
            condition=", ".join(f"{key} {value}" for key, value in sorted(more.items())),
        )
