"""The connection to one Kubernetes cluster, by the one context that the environment names.

The official client raises half a dozen kinds of exception for "cannot reach it", "does not know me" and "is not there".
Here they become the tool's own errors, each with what to do about it.
"""

import json
import os
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from functools import cached_property
from pathlib import Path
from threading import Thread
from typing import Any

import urllib3
from kubernetes import client
from kubernetes.client.exceptions import ApiException
from kubernetes.config.config_exception import ConfigException
from kubernetes.config.kube_config import KubeConfigMerger
from yaml import YAMLError

from dr.config.kubernetes_access import KubernetesAccess
from dr.core.commands import CommandLines, command_line
from dr.core.errors import AccessError
from dr.kube.login import Loader

CONNECT_SECONDS = 5
READ_SECONDS = 30
_TIMES = 2
"""How much longer than one try everything may take: a server that sends a byte a second never keeps a read waiting."""
_LIST: Mapping[str, type] = {"items": list}
_OBJECT: Mapping[str, type] = {"metadata": dict, "items": list, "kind": str, "status": dict}
_VERSION: Mapping[str, type] = {"gitVersion": str}
_DOCUMENT: Mapping[str, type] = {**_OBJECT, **_VERSION, "paths": dict, "openapi": str}
"""What an answer has at least one of; the last is of a document about the API itself."""
_TEXTS = {"str", "file", None}
"""What an answer is read as that is not an object."""
_SHOWN = 120
_GET_CREDENTIALS = command_line(
    "gcloud", "container", "clusters", "get-credentials", "CLUSTER", "--location", "LOCATION"
)
_HELD_CERTIFICATE = {"client-certificate", "client-certificate-data"}


class KubernetesApi:
    """Typed doors to the API groups this tool needs, over one connection."""

    def __init__(
        self,
        access: KubernetesAccess,
        commands: CommandLines | None = None,
        *,
        seconds: tuple[float, float] = (CONNECT_SECONDS, READ_SECONDS),
    ) -> None:
        """Read the kubeconfig. Raises AccessError when there is none or it lacks the context; contacts nobody.

        ``commands`` are the environment's, to be printed; ``seconds`` how long to wait for a connection, and for an
        answer.
        """
        self.commands = commands or access.commands
        self.context = access.context
        self._file = access.kubeconfig
        self._seconds = seconds
        self._whole = _TIMES * sum(seconds)
        self._client = self.new_client()

    def new_client(self) -> Any:
        """A client of its own, for calls that cannot share one (exec swaps the client's request function)."""
        files, made = _files_with_context(self._file, self.context), client.Configuration()
        try:
            Loader(files, self.context).load_and_set(made)
        except (ConfigException, OSError, ValueError) as error:
            raise self._unusable(error) from error
        # The default retries three times with waits: a dead API server would take half a minute to be called dead.
        made.retries = urllib3.Retry(total=1, backoff_factor=0.2)
        return _Client(configuration=made)

    def _unusable(self, error: Exception) -> AccessError:
        return AccessError(
            "kubeconfig-unusable",
            f"the kubeconfig's context {self.context!r} cannot be used: {error}",
            f"log in again, or recreate the context ({_GET_CREDENTIALS})",
        )

    @property
    def lasting_credentials(self) -> tuple[str, str]:
        """The client certificate's file and the token that the context's user has for good; each empty where it has
        none, or a program or a file gives a new one whenever it is needed.
        """
        user = _user_of(self.context, _files_with_context(self._file, self.context))
        certificate = self._client.configuration.cert_file if _HELD_CERTIFICATE & user.keys() else None
        return certificate or "", str(user.get("token") or "")

    @cached_property
    def core(self) -> Any:
        """Pods, Services, Secrets, ConfigMaps."""
        return client.CoreV1Api(self._client)

    @cached_property
    def apps(self) -> Any:
        """Deployments."""
        return client.AppsV1Api(self._client)

    @cached_property
    def custom(self) -> Any:
        """CloudNativePG's kinds."""
        return client.CustomObjectsApi(self._client)

    @cached_property
    def coordination(self) -> Any:
        """Leases."""
        return client.CoordinationV1Api(self._client)

    @cached_property
    def discovery(self) -> Any:
        """Endpoints of Services."""
        return client.DiscoveryV1Api(self._client)

    @cached_property
    def batch(self) -> Any:
        """CronJobs and Jobs."""
        return client.BatchV1Api(self._client)

    @cached_property
    def autoscaling(self) -> Any:
        """HorizontalPodAutoscalers."""
        return client.AutoscalingV2Api(self._client)

    @cached_property
    def storage(self) -> Any:
        """Storage classes."""
        return client.StorageV1Api(self._client)

    @property
    def server(self) -> str:
        """The API server's URL."""
        return str(self._client.configuration.host)

    def ask(self, what: str, call: Callable[..., Any], *args: Any, **options: Any) -> Any:
        """Make a call of this connection, and explain its failure. ``what`` says what was wanted: "read the Service
        x". Raises AccessError: ``answer-odd`` for what does not come from an API server, as a proxy's page.
        """
        try:
            return _checked(call, _within(self._whole, lambda: call(*args, _request_timeout=self._seconds, **options)))
        except ApiException as error:
            raise self.explained(error, what) from error
        except ConfigException as error:
            raise self._unusable(error) from error
        except OddAnswerError as error:
            raise self.odd(error, what) from error
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise self.unreachable(error, what) from error

    def find(self, what: str, call: Callable[..., Any], *args: Any, **options: Any) -> Any | None:
        """As :meth:`ask`, but None when the object is not there."""
        try:
            return self.ask(what, call, *args, **options)
        except AccessError as error:
            if error.code == "not-found":
                return None
            raise

    def ask_plain(self, what: str, call: Callable[..., Any], *args: Any, **options: Any) -> Mapping[str, Any]:
        """As :meth:`ask`, with plain values for the answer: the client's typed objects refuse what a newer server may
        say.
        """
        answer = self.ask(what, call, *args, _preload_content=False, **options)
        return self._read(answer, what, _LIST if _lists(call) else _OBJECT)

    def _read(self, answer: Any, what: str, wanted: Mapping[str, type]) -> Mapping[str, Any]:
        try:
            return _understood(answer.data, wanted)
        except OddAnswerError as error:
            raise self.odd(error, what) from error

    def odd(self, error: Exception, what: str) -> AccessError:
        """The error for an answer that no API server gives."""
        return AccessError(
            "answer-odd",
            f"could not {what}: {self.server} (context {self.context!r}) does not answer as an API server: {error}",
            "is there a proxy or a login page in between? Look with "
            + self.commands.kubectl("get", "--raw", "/version"),
        )

    def read_path(self, what: str, path: str) -> Any:
        """The JSON document at ``path`` of the API server, where its client has no call for it. Raises AccessError."""
        answer = self.ask(
            what,
            self._client.call_api,
            path,
            "GET",
            header_params={"Accept": "application/json"},
            auth_settings=["BearerToken"],
            _preload_content=False,
            _return_http_data_only=True,
        )
        return self._read(answer, what, _DOCUMENT)

    def may(self, what: str, verb: str, resource: str, namespace: str, *, name: str = "") -> bool:
        """Whether the user of this connection may do ``verb`` with ``resource`` ("pods/exec") of the core group: with
        all, or with the one of that ``name``.

        Every user may ask that of itself, unless an administrator has taken it away; True then. Raises AccessError.
        """
        kind, _, part = resource.partition("/")
        asked = {"namespace": namespace, "verb": verb, "resource": kind, "subresource": part, "name": name}
        reviews = client.AuthorizationV1Api(self._client)
        try:
            found = self.ask(what, reviews.create_self_subject_access_review, {"spec": {"resourceAttributes": asked}})
        except AccessError as error:
            if error.code in {"forbidden", "api-group-missing"}:
                return True
            raise
        return bool(found.status.allowed)

    def unreachable(self, error: Exception, what: str) -> AccessError:
        """The error for an API server that does not answer."""
        reason = getattr(error, "reason", None) or error
        return AccessError(
            "api-unreachable",
            f"could not {what}: the Kubernetes API server {self.server} (context {self.context!r}) "
            f"cannot be reached: {reason}",
            f"check the network or VPN; {self.commands.dr('diagnose')} asks Google whether the cluster is there",
        )

    def explained(self, error: ApiException, what: str) -> AccessError:
        """The error for an answer that is a refusal."""
        match error.status:
            case 401:
                return AccessError(
                    "token-expired",
                    f"could not {what}: the API server does not accept the credentials of context {self.context!r}; "
                    "the token is wrong or has expired",
                    f"log in again ({command_line('gcloud', 'auth', 'login')}) and repeat the command",
                )
            case 403:
                return AccessError(
                    "forbidden",
                    f"could not {what}: {_message(error)}",
                    f"ask for that permission for the user of context {self.context!r}, or use an account that has it",
                )
            case 404 if _is_about_an_object(error):
                return AccessError(
                    "not-found", f"could not {what}: it is not there", "check the names in Pulumi.<env>.yaml"
                )
            case 404:
                return AccessError(
                    "api-group-missing",
                    f"could not {what}: the API server does not know that kind of object",
                    "install the CloudNativePG operator and its CRDs, or wait until Argo CD has done so",
                )
        return AccessError("api-error", f"could not {what}: {error.status} {_message(error)}", "repeat the command")


class OddAnswerError(Exception):
    """An answer that no API server gives."""


class _Client(client.ApiClient):  # type: ignore[misc] # the client has no types
    """A client that looks at an answer before it makes an object of it."""

    def deserialize(self, response: Any, response_type: Any) -> Any:
        if response_type in _TEXTS:
            return super().deserialize(response, response_type)
        listed = str(response_type).endswith("List")
        _understood(response.data, _VERSION if response_type == "VersionInfo" else _LIST if listed else _OBJECT)
        try:
            return super().deserialize(response, response_type)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise OddAnswerError(f"{type(error).__name__}: {error}") from error


def _checked(call: Callable[..., Any], answer: Any) -> Any:
    """The answer, which has items where ``call`` asks for a list. Raises OddAnswerError."""
    if isinstance(answer, dict) and _lists(call) and not isinstance(answer.get("items"), list):
        raise OddAnswerError(f"it is not a list: {json.dumps(answer, default=str)[:_SHOWN]}")
    return answer


def _lists(call: Callable[..., Any]) -> bool:
    """Whether a method of the client asks for a list."""
    return getattr(call, "__name__", "").startswith("list_")


def _understood(data: str | bytes, wanted: Mapping[str, type]) -> Mapping[str, Any]:
    """The object that an answer is, which has one of ``wanted`` at least. Raises OddAnswerError."""
    try:
        found = json.loads(data)
    except ValueError:
        text = data.decode(errors="replace") if isinstance(data, bytes) else data
        raise OddAnswerError(f"it is not valid JSON: {' '.join(text.split())[:_SHOWN]!r}") from None
    if not isinstance(found, dict) or not any(isinstance(found.get(key), kind) for key, kind in wanted.items()):
        raise OddAnswerError(f"it is not {'a list' if wanted is _LIST else 'an object'}: {json.dumps(found)[:_SHOWN]}")
    return found


def _within(seconds: float, work: Callable[[], Any]) -> Any:
    """What ``work`` returns or raises; TimeoutError where it takes longer, and then it is left to itself."""
    future: Future[Any] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001 - raised where it is waited for
            future.set_exception(error)

    Thread(target=run, daemon=True, name="kubernetes").start()
    try:
        return future.result(seconds)
    except TimeoutError:
        if future.done():
            raise
        raise TimeoutError(f"no whole answer within {seconds:.0f} s") from None


def _files_with_context(file: str | None, context: str) -> str:
    """The kubeconfig files, joined as in ``$KUBECONFIG``. Raises AccessError unless they are there and have the
    context.
    """
    default = os.environ.get("KUBECONFIG") or "~/.kube/config"
    places = [_expand(part) for part in (file or default).split(os.pathsep) if part]
    found = [place for place in places if Path(place).is_file()]
    if not found:
        raise AccessError(
            "kubeconfig-missing",
            f"there is no kubeconfig: looked for {', '.join(places)}",
            f"set KUBECONFIG, or make one: {_GET_CREDENTIALS}",
        )
    try:
        # Not list_kube_config_contexts(): that fails on a file without a current context, and ours needs none.
        merged = KubeConfigMerger(os.pathsep.join(found)).config
        names = [entry["name"] for entry in (merged.value.get("contexts") if merged else None) or ()]
    except (ConfigException, YAMLError, OSError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise AccessError(
            "kubeconfig-unusable",
            f"the kubeconfig {', '.join(found)} cannot be read: {error}",
            "fix it or make a new one",
        ) from error
    if context not in names:
        rename = CommandLines(kubeconfig=file or "").kubectl("config", "rename-context", "OLD", context)
        raise AccessError(
            "context-missing",
            f"the kubeconfig {', '.join(found)} has no context {context!r}, which is the environment's",
            f"make it ({rename}); contexts there: {', '.join(names) or 'none'}",
        )
    return os.pathsep.join(found)


def _user_of(context: str, files: str) -> dict[str, Any]:
    """The user of ``context``, as the kubeconfig has it."""
    merged = KubeConfigMerger(files).config
    user = merged["contexts"].get_with_name(context)["context"].safe_get("user")
    found = merged["users"].get_with_name(user, safe=True) if user else None
    return dict(found["user"].value or {}) if found else {}


def _expand(path: str) -> str:
    return str(Path(path).expanduser())


def _is_about_an_object(error: ApiException) -> bool:
    """Whether a 404 is about one object (its Status has details) rather than about the whole kind."""
    try:
        return bool(json.loads(error.body or "{}").get("details", {}).get("name"))
    except ValueError:
        return False


def _message(error: ApiException) -> str:
    """The API server's own sentence, or the HTTP reason; cut short, as a body can be a whole page."""
    try:
        return str(json.loads(error.body or "{}").get("message") or error.reason)[:400]
    except ValueError:
        return str(error.reason)
