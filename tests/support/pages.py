"""A page of ``pg_class`` from a real PostgreSQL 15, and what pg_waldump printed about it; the lab's own database.

What had happened: ``probe`` (OID 17484) was made; its drop was rolled back to a savepoint (1030), and then it was
dropped in a subtransaction (1032) of 1029. ``probe2`` (17491) was renamed to ``probe3`` (1034), and truncated (1037);
its drop was rolled back (1038). Schema ``sch`` was dropped with ``probe4`` (17495) in it (1039). A view was dropped
(1041).
"""

import base64
import zlib
from pathlib import Path

PAGE_NUMBER = 1
PAGE = zlib.decompress(base64.b64decode((Path(__file__).parent / "pg_class_page.txt").read_text()))
DATABASE = 16385
PUBLIC = 2200

_AT = "rel 1663/16385/1259 blk 1"
CHANGES = f"""\
rmgr: Heap        len (rec/tot):     80/    80, tx:       1028, lsn: 0/092CF298, prev 0/092CF258, desc: HOT_UPDATE off 1 xmax 1028 flags 0x60 ; new off 5 xmax 0, blkref #0: {_AT}
rmgr: Heap        len (rec/tot):     54/    54, tx:       1030, lsn: 0/092D77C0, prev 0/092D7780, desc: DELETE off 5 flags 0x00 KEYS_UPDATED , blkref #0: {_AT}
rmgr: Heap        len (rec/tot):     54/    54, tx:       1032, lsn: 0/092D8F48, prev 0/092D8F08, desc: DELETE off 5 flags 0x00 KEYS_UPDATED , blkref #0: {_AT}
rmgr: Heap        len (rec/tot):     79/    79, tx:       1034, lsn: 0/092DCDA8, prev 0/092DCD68, desc: UPDATE off 7 xmax 1034 flags 0x60 KEYS_UPDATED ; new off 8 xmax 0, blkref #0: {_AT}
rmgr: Heap        len (rec/tot):    123/   123, tx:       1037, lsn: 0/092DEF10, prev 0/092DEED0, desc: UPDATE off 8 xmax 1037 flags 0x60 ; new off 10 xmax 0, blkref #0: {_AT}
rmgr: Heap        len (rec/tot):     54/    54, tx:       1038, lsn: 0/092EAA08, prev 0/092EA9C8, desc: DELETE off 10 flags 0x00 KEYS_UPDATED , blkref #0: {_AT}
rmgr: Heap        len (rec/tot):     54/    54, tx:       1039, lsn: 0/092EB260, prev 0/092EB220, desc: DELETE off 9 flags 0x00 KEYS_UPDATED , blkref #0: {_AT}
rmgr: Heap        len (rec/tot):     79/    79, tx:       1040, lsn: 0/09305C80, prev 0/09305C40, desc: HOT_UPDATE off 11 xmax 1040 flags 0x60 ; new off 12 xmax 0, blkref #0: {_AT}
rmgr: Heap        len (rec/tot):     54/    54, tx:       1041, lsn: 0/093063E0, prev 0/093063A0, desc: DELETE off 12 flags 0x00 KEYS_UPDATED , blkref #0: {_AT}
"""  # noqa: E501 - as printed
COMMIT_1029 = "rmgr: Transaction len (rec/tot):   1257/  1257, tx:       1029, lsn: 0/092D9160, prev 0/092D8FF8, desc: COMMIT 2026-11-23 09:17:40.127443 UTC; rels: base/16385/17484 base/16385/17487 base/16385/17488 base/16385/17489; subxacts: 1031 1032"  # noqa: E501
COMMIT_1037 = "rmgr: Transaction len (rec/tot):    114/   114, tx:       1037, lsn: 0/092DF0D8, prev 0/092DF0A8, desc: COMMIT 2026-11-23 09:17:40.136472 UTC; rels: base/16385/17491"  # noqa: E501
COMMIT_1039 = "rmgr: Transaction len (rec/tot):    501/   501, tx:       1039, lsn: 0/092EB7C0, prev 0/092EB780, desc: COMMIT 2026-11-23 09:17:40.186859 UTC; rels: base/16385/17495"  # noqa: E501


def _plain_commit(xid: int, lsn: str) -> str:
    return (
        f"rmgr: Transaction len (rec/tot):     34/    34, tx:       {xid}, lsn: {lsn}, prev 0/092DCDA8, "
        "desc: COMMIT 2026-11-23 09:17:40.130000 UTC"
    )


COMMITS = [
    _plain_commit(1028, "0/092D5D10"),
    COMMIT_1029,
    _plain_commit(1034, "0/092DCF00"),
    COMMIT_1037,
    COMMIT_1039,
    _plain_commit(1040, "0/09306000"),
    _plain_commit(1041, "0/09306500"),
]
