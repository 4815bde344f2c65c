"""Looking at an archive: what is listed, and into the WAL that a recovery will replay; on an ordinary day into some."""

import random

from dr.archive.catalogue import BaseBackup, Catalogue
from dr.archive.contents import Archive
from dr.archive.reader import OpenArchive, find_open
from dr.archive.wal_reader import look_into
from dr.archive.wal_reading import in_order, needed, sample
from dr.config.environment import BackupPlace
from dr.core.target import RecoveryTarget

_SEGMENTS = 500
_SECONDS = 10.0
"""For all of them: an answer of Cloud Storage takes some 50 ms, so this is more than they usually need."""
_SAMPLE = 40
_SAMPLE_SECONDS = 3.0


def archive_for(
    place: BackupPlace, server_name: str, target: RecoveryTarget | None
) -> tuple[Archive | None, Catalogue]:
    """The archive of ``server_name``, None where there is none, with what the first pages of the WAL say that a
    recovery to ``target`` needs; and its base backups. Raises AccessError as :func:`find_open`.
    """
    opened, server_names = find_open(place, server_name)
    backups = opened.archive.backups if opened else ()
    catalogue = Catalogue(server_name=server_name, backups=backups, server_names=server_names)
    base = catalogue.base_for(target)
    if opened is None or base is None:
        return opened.archive if opened else None, catalogue
    return looked_into(opened, base, target), catalogue


def looked_into(opened: OpenArchive, base: BaseBackup, target: RecoveryTarget | None) -> Archive:
    """The archive with what the first pages of the WAL say that a recovery from ``base`` to ``target`` needs."""
    names = in_order(opened.archive, needed(opened.archive, base, target), base)
    return look_into(opened, names[:_SEGMENTS], seconds=_SECONDS)


def sampled(opened: OpenArchive) -> Archive:
    """The archive with what the first pages of some of its WAL say, its end among it: no two days the same."""
    return look_into(opened, sample(opened.archive, _SAMPLE, random.sample), seconds=_SAMPLE_SECONDS)
