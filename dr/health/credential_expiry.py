"""When the credentials end by which this tool itself reaches the cluster.

What is short-lived on purpose is left out: a token that a program of the kubeconfig fetches, or that was made for a
day's work.
"""

import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509

from dr.kube.api import KubernetesApi

_FOR_A_WHILE = timedelta(days=14)
"""What lives no longer is made anew as a matter of course."""


def own_ends(api: KubernetesApi) -> dict[str, datetime]:
    """The end of each credential of the context that has one, by what it is."""
    return dict(_ends(api))


def _ends(api: KubernetesApi) -> Iterator[tuple[str, datetime]]:
    certificate, token = api.lasting_credentials
    whose = f"of context {api.context}"
    if certificate:
        read = x509.load_pem_x509_certificate(Path(certificate).read_bytes())
        if read.not_valid_after_utc - read.not_valid_before_utc > _FOR_A_WHILE:
            yield f"the client certificate {whose}", read.not_valid_after_utc
    if token and (end := _end_of_token(token)):
        yield f"the token {whose}", end


def _end_of_token(token: str) -> datetime | None:
    """The ``exp`` of a JSON Web Token; None for a short-lived one, and for any other, which does not tell."""
    try:
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        end = datetime.fromtimestamp(claims["exp"], UTC)
        return end if end - datetime.fromtimestamp(claims["iat"], UTC) > _FOR_A_WHILE else None
    except (IndexError, ValueError, KeyError, TypeError):
        return None
