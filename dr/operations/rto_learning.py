"""What the reports that were kept teach about the next recovery."""

from pathlib import Path

from dr.clients.report_files import ReportFiles
from dr.model.rto import Coefficients, learn
from dr.model.rto_reports import measured_of

_NEWEST = 20
"""What an old drill took says little: data, versions and machines have changed."""


def coefficients_of(journal: Path) -> Coefficients:
    """Learned from the reports beside ``journal``; the default ones when there are none. One that cannot be read is
    passed over.
    """
    documents, _ = ReportFiles.beside(journal).read_all()
    drills = [measured for document in documents if (measured := measured_of(document))]
    return learn(drills[-_NEWEST:])
