"""What Google answers when it refuses, in its own words: `dr` recognises causes by these words, so they matter."""

from __future__ import annotations

PROJECT_NUMBER = 485000485000


class GoogleError(Exception):
    """A refusal of one of Google's APIs.

    Args:
        code: the HTTP status.
        message: what it says.
        reason: its short name in the list of errors; `status` is made of the code.
    """

    def __init__(self, code: int, message: str, reason: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.reason = reason

    def __str__(self) -> str:
        """As the client library of the provider prints it."""
        return f"googleapi: Error {self.code}: {self.message}, {self.reason}"

    def document(self) -> dict[str, object]:
        """As the body of an answer."""
        detail = {"message": self.message, "domain": "global", "reason": self.reason}
        status = _STATUSES.get(self.code, "UNKNOWN")
        return {"error": {"code": self.code, "message": self.message, "errors": [detail], "status": status}}


_STATUSES = {
    400: "INVALID_ARGUMENT",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ALREADY_EXISTS",
    429: "RESOURCE_EXHAUSTED",
    503: "UNAVAILABLE",
}


class RefusedByProviderError(Exception):
    """The provider itself refuses, before it asks Google: a deletion that its own properties forbid."""


def not_found(what: str) -> GoogleError:
    return GoogleError(404, f"The resource '{what}' was not found", "notFound")


def already_exists(what: str) -> GoogleError:
    return GoogleError(409, f"The resource '{what}' already exists", "alreadyExists")


def invalid(message: str) -> GoogleError:
    return GoogleError(400, message, "invalid")


def in_use(what: str, by: str) -> GoogleError:
    message = f"The {what} resource is already being used by '{by}'"
    return GoogleError(400, message, "resourceInUseByAnotherResource")


def denied(permission: str, what: str) -> GoogleError:
    message = f"Permission '{permission}' denied on resource '{what}' (or it may not exist)."
    return GoogleError(403, message, "forbidden")


def api_disabled(api: str) -> GoogleError:
    message = (
        f"{api} has not been used in project {PROJECT_NUMBER} before or it is disabled. Enable it by visiting "
        f"https://console.developers.google.com/apis/api/{api}/overview?project={PROJECT_NUMBER} then retry. If you "
        "enabled this API recently, wait a few minutes for the action to propagate to our systems and retry."
    )
    return GoogleError(403, message, "accessNotConfigured")


def quota_exceeded(metric: str, limit: int, where: str) -> GoogleError:
    return GoogleError(403, f"Quota '{metric}' exceeded.  Limit: {limit}.0 {where}.", "quotaExceeded")


def unavailable() -> GoogleError:
    return GoogleError(503, "The service is currently unavailable.", "backendError")


def no_such_account(email: str) -> GoogleError:
    return GoogleError(400, f"Service account {email} does not exist.", "badRequest")


def no_such_pool(pool: str) -> GoogleError:
    return GoogleError(400, f"Identity Pool does not exist ({pool}). Please check that you specified it.", "badRequest")
