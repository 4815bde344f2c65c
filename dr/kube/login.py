"""The login program of a kubeconfig's user (``exec``), run with a limit of time, and its failure said.

The official client waits for it for ever, and continues as nobody when it fails: the API server then answers that
``system:anonymous`` may not do something, which is not what is wrong.
"""

import json
import subprocess
import sys
import tempfile
from typing import IO, Any

import psutil
from kubernetes.config.config_exception import ConfigException
from kubernetes.config.dateutil import parse_rfc3339
from kubernetes.config.exec_provider import ExecProvider
from kubernetes.config.kube_config import FileOrData, KubeConfigLoader, KubeConfigMerger

LIMIT_SECONDS = 30.0
"""For a login program. Who types a password or follows a link does so before: ``gcloud auth login``."""
_SHOWN = 400


class Loader(KubeConfigLoader):  # type: ignore[misc] # the client has no types
    """A kubeconfig's context, whose login program may take ``limit`` seconds. Loading raises ConfigException."""

    def __init__(self, files: str, context: str, *, limit: float = LIMIT_SECONDS) -> None:
        merged = KubeConfigMerger(files)
        self._limit = limit
        super().__init__(
            config_dict=merged.config,
            config_base_path=None,
            active_context=context,
            config_persister=merged.save_changes,
        )

    def _load_from_exec_plugin(self) -> bool | None:
        """As the client's own, which passes over every failure."""
        if "exec" not in self._user:
            return None
        folder = self._get_base_path(self._cluster.path)
        status = _Login(self._user["exec"], folder, self._cluster, limit=self._limit).run()
        if "token" in status:
            self.token = f"Bearer {status['token']}"
        elif {"clientCertificateData", "clientKeyData"} <= status.keys():
            self.cert_file = self._as_file(status, "clientCertificateData", folder)
            self.key_file = self._as_file(status, "clientKeyData", folder)
        else:
            raise ConfigException("its login program gives neither a token nor a certificate with its key")
        if "expirationTimestamp" in status:
            self.expiry = parse_rfc3339(status["expirationTimestamp"])
        return True

    def _as_file(self, status: dict[str, Any], key: str, folder: str) -> Any:
        part = FileOrData(
            status,
            None,
            data_key_name=key,
            file_base_path=folder,
            base64_file_content=False,
            temp_file_path=self._temp_file_path,
        )
        return part.as_file()


class _Login(ExecProvider):  # type: ignore[misc] # the client has no types
    """One run of a login program."""

    def __init__(self, given: Any, folder: str, cluster: Any, *, limit: float) -> None:
        super().__init__(given, folder, cluster)
        self._limit = limit

    def run(self, previous_response: Any = None) -> dict[str, Any]:  # noqa: ARG002 - the client's signature
        """The ``status`` of its ExecCredential. Raises ConfigException."""
        asked = all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stdout))
        info: dict[str, Any] = {
            "apiVersion": self.api_version,
            "kind": "ExecCredential",
            "spec": {"interactive": asked},
        }
        if self.cluster:
            info["spec"]["cluster"] = dict(self.cluster.value)
        env = {**self.env, "KUBERNETES_EXEC_INFO": json.dumps(info)}
        # Files, not pipes: what the program has started may hold those open after it was ended.
        with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
            with subprocess.Popen(
                self.args,
                stdin=None if asked else subprocess.DEVNULL,
                stdout=output,
                stderr=None if asked else errors,
                cwd=self.cwd,
                env=env,
            ) as process:
                code = self._end_of(process)
            if code != 0:
                said = _text(errors).strip()[-_SHOWN:]
                raise ConfigException(f"its login program {self.args[0]} failed ({code}){f': {said}' if said else ''}")
            return self._status(_text(output))

    def _end_of(self, process: "subprocess.Popen[bytes]") -> int:
        try:
            return process.wait(self._limit)
        except subprocess.TimeoutExpired:
            for child in psutil.Process(process.pid).children(recursive=True):
                child.kill()
            process.kill()
            raise ConfigException(
                f"its login program {self.args[0]} did not answer within {self._limit:.0f} s"
            ) from None

    def _status(self, said: str) -> dict[str, Any]:
        try:
            answer = json.loads(said)
            version, status = answer["apiVersion"], answer["status"]
        except (ValueError, KeyError, TypeError):
            raise ConfigException(f"its login program {self.args[0]} does not answer with an ExecCredential") from None
        if version != self.api_version or not isinstance(status, dict):
            raise ConfigException(f"its login program answers in {version}, not in {self.api_version}")
        return status


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")
