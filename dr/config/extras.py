"""What is installed only where it is asked for: the extras of the distribution, as pyproject.toml has them.

``pulumi-gcp`` alone is larger than all else together, and a recovery does not need it.
"""

from importlib.metadata import distributions

from dr.config.stack_file import PROJECT
from dr.core.errors import AccessError, EngineError

INFRASTRUCTURE = "infrastructure"
POLICY = "policy"
S3 = "s3"
AZURE = "azure"

EXTRAS = {
    INFRASTRUCTURE: ("pulumi-gcp", "pulumi-command"),
    POLICY: ("pulumi-policy",),
    S3: ("boto3",),
    AZURE: ("azure-identity", "azure-storage-blob"),
}
"""The distributions of each extra."""

_WHAT = {
    INFRASTRUCTURE: "the stacks of the infrastructure need",
    POLICY: "the policy pack needs",
    S3: "backups in S3 need",
    AZURE: "backups in Azure Blob Storage need",
}


def require(extra: str) -> None:
    """See that the packages of ``extra`` are installed; imports none. Raises ``extra-missing``: AccessError for the
    client of an object store, else EngineError.
    """
    missing = [name for name in EXTRAS[extra] if not any(distributions(name=name))]
    if missing:
        wanted = f"'{PROJECT}[{extra}]'"
        cause = f"{_WHAT[extra]} {' and '.join(missing)}, which {'is' if len(missing) == 1 else 'are'} not installed"
        remedy = f"install the tool with its extra, {wanted}, the way in which it was installed (docs/install.md)"
        if extra in (S3, AZURE):
            raise AccessError("extra-missing", cause, remedy)
        raise EngineError("extra-missing", cause, remedy)
