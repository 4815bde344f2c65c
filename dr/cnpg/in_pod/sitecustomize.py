"""Stands in front of ``barman-cloud-wal-restore`` in the pod of a recovery: fetches ahead, and waits for the store.

Python imports it by its name at the start of each of its processes. In any but ``barman-cloud-wal-restore`` it does
nothing. There it has two duties:

- A segment that lies ready goes to where PostgreSQL wants it, and the process ends, after 20 ms instead of 500.
  Otherwise barman is asked to fetch the following segments along with the one that is asked for (its options
  ``--parallel`` and ``--spool-dir``).
- A store that fails is not taken for the end of the WAL. PostgreSQL takes every exit code from 1 to 125 for "there is
  no such segment", and ends a recovery without a target there, as if all was well; it stops with FATAL at a code above
  (``RestoreArchivedFile``, xlogarchive.c). So barman runs in a child. Where it has listed the bucket and the segment is
  not there (``OperationErrorExit``, raised by ``CloudWalDownloader.download_wal``), that passes on. After anything else
  (2 network, 3 arguments, 4 general, and 1 where a Python module is missing: barman/clients/cloud_cli.py), and where
  the segment is shorter or longer than it should be, barman runs again, until it has been waited for long enough.

It must never make a recovery fail that would have succeeded without it: whatever goes wrong here, barman runs as
ever, and an older barman, which lacks what is used here, is left alone. A segment is handed over when it is as long as
its own first page says that segments are (``xlp_seg_size``, PostgreSQL's ``xlog_internal.h``).

It stands alone, for any Python from 3.7 on, and imports as little as it can: that is what its time goes into.
"""

import os
import sys
import time

_PROGRAM = "barman-cloud-wal-restore"
_SEGMENT_SIZE_AT = slice(32, 36)
_NAME_LENGTH = 24
"""Of a segment; the other files that PostgreSQL asks for are histories of timelines."""
_NOT_FOUND = 100
"""What barman's child ends with in place of 1, which has other reasons too."""
_STOP = 255
"""What PostgreSQL stops at."""
_SAID_EVERY = 15
"""Seconds after which a word is said of barman that is still at work: Google's client tries for 120 s before it fails
(google.api_core.retry)."""


def restore(command: bytes) -> "int | None":
    """What this process has to end with, for ``command`` as in ``/proc/self/cmdline``; None where it becomes barman."""
    words = [os.fsdecode(word) for word in command.split(b"\0")[:-1]]
    if len(words) < 4 or os.path.basename(words[1]) != _PROGRAM:
        return None
    segment, destination = words[-2:]
    folder = os.environ.get("POSTGRES_DR_FETCHED_AHEAD")
    if folder and hand_over(os.path.join(folder, segment), destination):
        return 0
    return _by_barman(segment, destination, folder)


def hand_over(ready: str, destination: str) -> bool:
    """Whether the segment in the file ``ready`` was there, and whole, and is in ``destination`` now."""
    if not os.path.exists(ready):
        return False
    with open(ready, "rb") as file:
        content = file.read()
    os.remove(ready)
    if not content or len(content) != int.from_bytes(content[_SEGMENT_SIZE_AT], sys.byteorder):
        return False
    with open(destination, "wb") as file:
        file.write(content)
    return True


def _by_barman(segment: str, destination: str, folder: "str | None") -> "int | None":
    """As :func:`restore`: None in each child, and the end in the process that PostgreSQL has started."""
    limit = float(os.environ["POSTGRES_DR_WAIT_SECONDS"])

    from barman.clients.cloud_cli import OperationErrorExit  # what barman is about to import anyway
    from barman.clients.cloud_walrestore import CloudWalDownloader

    download = CloudWalDownloader.download_wal

    def telling_not_found(*given: object, **named: object) -> None:
        try:
            download(*given, **named)
        except OperationErrorExit:
            raise SystemExit(_NOT_FOUND) from None

    CloudWalDownloader.download_wal = telling_not_found
    ahead = int(os.environ.get("POSTGRES_DR_SEGMENTS_AHEAD") or 0) if folder else 0
    asked = list(sys.argv)
    if ahead > 1 and hasattr(CloudWalDownloader, "DEFAULT_SPOOL_DIR"):
        sys.argv[1:1] = [f"--parallel={ahead}", f"--spool-dir={folder}"]
    begin = time.monotonic()
    while True:
        child = os.fork()
        if child == 0:
            return None
        code = _end_of(child, segment, begin)
        if code == 0 and (len(segment) != _NAME_LENGTH or _is_whole(destination)):
            return 0
        if code == _NOT_FOUND:
            return 1
        if code > 128:  # it was killed: PostgreSQL stops
            return code
        why = f"{_PROGRAM} ended with {code}" if code else "its length is not that of a segment"
        left = limit - (time.monotonic() - begin)
        if left <= 0:
            _say(f"WAL {segment} could not be fetched within {limit:.0f} s ({why}); PostgreSQL is stopped")
            return _STOP
        _say(f"WAL {segment} could not be fetched ({why}); trying again, for {left:.0f} s more")
        time.sleep(limit / 60)
        # Not more than what is asked for from a store that is in trouble, and in the way that barman always had.
        sys.argv[:] = asked


def _end_of(child: int, segment: str, begin: float) -> int:
    """The exit code of ``child``, as a shell would give it, once it has ended; a word is said while it has not."""
    import signal  # not needed where a segment lies ready

    def say(*_: object) -> None:
        _say(f"WAL {segment} is still not fetched after {time.monotonic() - begin:.0f} s")

    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGALRM, say)
    signal.setitimer(signal.ITIMER_REAL, _SAID_EVERY, _SAID_EVERY)
    _, status = os.waitpid(child, 0)
    signal.setitimer(signal.ITIMER_REAL, 0)
    return 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


def _is_whole(segment: str) -> bool:
    with open(segment, "rb") as file:
        first = file.read(_SEGMENT_SIZE_AT.stop)
        return file.seek(0, os.SEEK_END) == int.from_bytes(first[_SEGMENT_SIZE_AT], sys.byteorder) > 0


def _say(what: str) -> None:
    sys.stderr.write(f"postgres-dr: {what}\n")
    sys.stderr.flush()


if __name__ == "sitecustomize":
    try:
        with open("/proc/self/cmdline", "rb") as started:
            end = restore(started.read())
    except Exception as error:  # noqa: BLE001 - see above
        _say(f"barman continues alone: {error!r}")
    else:
        if end is not None:
            os._exit(end)
