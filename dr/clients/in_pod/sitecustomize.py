"""Hands over WAL segments that were fetched ahead, without loading barman.

Python imports it by its name at the start of each of its processes. In any but ``barman-cloud-wal-restore`` it does
nothing. There, a segment that lies ready goes to where PostgreSQL wants it, and the process ends, after 20 ms instead
of 500; otherwise barman goes on, told to fetch the following segments along with the one that is asked for (its options
``--parallel`` and ``--spool-dir``).

It must never make a recovery fail that would have succeeded without it: whatever goes wrong here, barman goes on as
ever, and an older barman, which lacks the options, is left alone. What lies ready is only handed over when it is as
long as its own first page says that segments are (``xlp_seg_size``, PostgreSQL's ``xlog_internal.h``): a download that
broke off leaves a shorter one.

It stands alone, for any Python from 3.7 on, and imports as little as it can: that is what its time goes into.
"""

import os
import sys

_PROGRAM = "barman-cloud-wal-restore"
_AHEAD = 16
_SEGMENT_SIZE_AT = slice(32, 36)


def hand_over(command: bytes) -> bool:
    """Whether the segment that ``command`` asks for, as in ``/proc/self/cmdline``, was handed over.

    If not, barman is told to fetch more than that one, where there is a folder for it.
    """
    words = [os.fsdecode(word) for word in command.split(b"\0")[:-1]]
    folder = os.environ.get("POSTGRES_DR_FETCHED_AHEAD")
    if not folder or len(words) < 4 or os.path.basename(words[1]) != _PROGRAM:
        return False
    segment, destination = words[-2:]
    ready = os.path.join(folder, segment)
    if os.path.exists(ready):
        with open(ready, "rb") as file:
            content = file.read()
        os.remove(ready)
        if content and len(content) == int.from_bytes(content[_SEGMENT_SIZE_AT], sys.byteorder):
            with open(destination, "wb") as file:
                file.write(content)
            return True
    from barman.cloud import CloudWalDownloader  # what barman is about to import anyway

    if hasattr(CloudWalDownloader, "DEFAULT_SPOOL_DIR"):
        sys.argv[1:1] = [f"--parallel={_AHEAD}", f"--spool-dir={folder}"]
    return False


if __name__ == "sitecustomize":
    try:
        with open("/proc/self/cmdline", "rb") as asked:
            done = hand_over(asked.read())
    except Exception as error:  # noqa: BLE001 - see above
        sys.stderr.write(f"postgres-dr: nothing is fetched ahead: {error!r}\n")
    else:
        if done:
            os._exit(0)
