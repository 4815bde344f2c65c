"""An S3 to read backups from: moto's, which is neither boto3's nor ours, in this process."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest

from dr.config.backup_location import BackupLocation
from tests.support.builders import BUCKET
from tests.support.doubles import ObjectStoreDouble

MINIO = "https://minio.acme.test"
"""An S3 of another maker, which moto plays too."""
KEYS = {"AWS_ACCESS_KEY_ID": "AKIAACME", "AWS_SECRET_ACCESS_KEY": "secret"}


def s3_place(path: str = "prod", **keys: str) -> BackupLocation:
    """The place ``s3://backups-of-acme/<path>``; ``keys`` are others of the file."""
    return BackupLocation.model_validate({"destinationPath": f"s3://{BUCKET}/{path}", **keys})


@contextmanager
def s3_bucket(monkeypatch: pytest.MonkeyPatch, region: str = "eu-central-1") -> Iterator[Any]:
    """A bucket at moto's S3, with ambient credentials; gives boto3's client of it."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in {**KEYS, "AWS_EC2_METADATA_DISABLED": "true", "MOTO_S3_CUSTOM_ENDPOINTS": MINIO}.items():
        monkeypatch.setenv(name, value)
    import boto3
    import moto

    with moto.mock_aws():
        client = boto3.client("s3", region_name=region)
        client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": region})
        yield client


def put_all(client: Any, objects: Mapping[str, bytes] | ObjectStoreDouble) -> None:
    """Put objects into the bucket: those of a double of Cloud Storage are as barman writes them."""
    found = objects.objects if isinstance(objects, ObjectStoreDouble) else objects
    for name, content in found.items():
        client.put_object(Bucket=BUCKET, Key=name, Body=content)
