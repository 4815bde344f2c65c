"""Where the double serves each of Google's APIs, and the variables that lead there."""

from __future__ import annotations

APIS = {
    "STORAGE": "storage/v1/",
    "IAM": "iam/v1/",
    "RESOURCE_MANAGER": "cloudresourcemanager/v1/",
    "COMPUTE": "compute/v1/",
    "CONTAINER": "container/v1/",
}
"""Part of a variable's name -> path of the API: one server serves them all."""


def endpoints(address: str) -> dict[str, str]:
    """The variables by which what runs finds these APIs, and a metadata server, instead of Google's."""
    found = {f"GOOGLE_{name}_CUSTOM_ENDPOINT": f"http://{address}/{path}" for name, path in APIS.items()}
    return {**found, "GCE_METADATA_HOST": address, "GCE_METADATA_IP": address}
