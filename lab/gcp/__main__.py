"""Runs the double of Google: `python -m lab.gcp --cloud FILE`. The lab's own is started by `python -m lab up`.

It prints one line of JSON when it serves: the variables by which the engine and `dr` find it.
"""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import click
import grpc
from pulumi.runtime.proto import provider_pb2_grpc

from lab.gcp import component, rest
from lab.gcp.addresses import endpoints
from lab.gcp.backend import Backend, RecordOnlyBackend
from lab.gcp.cloud import Cloud
from lab.gcp.commands import CommandProvider
from lab.gcp.component import HOST
from lab.gcp.google import Google
from lab.gcp.lab_backend import LabBackend
from lab.gcp.provider import GoogleProvider
from lab.gcp.wire import AttachedProvider
from lab.paths import State
from lab.platform import gcs

_LARGEST = 400 * 1024 * 1024
"""Bytes of a message, as the engine's own limit is."""


class Double:
    """Everything that serves one cloud, on free ports unless others are named.

    Args:
        cloud: what there is.
        ground: what it stands on.
        ports: of the two providers and of HTTP; 0 for a free one.
        charts: the folder of a Helm repository, if there is one.
    """

    def __init__(
        self, cloud: Cloud, backend: Backend, *, ports: tuple[int, int, int] = (0, 0, 0), charts: Path | None = None
    ) -> None:
        self.google = Google(cloud, backend, {"project": cloud.project})
        self._servers = [_provider(GoogleProvider(self.google), ports[0]), _provider(CommandProvider(), ports[1])]
        self._http = rest.server((HOST, ports[2]), self.google, charts)
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    @property
    def address(self) -> str:
        """Of HTTP: host and port."""
        return f"{HOST}:{self._http.server_address[1]}"

    def variables(self) -> dict[str, str]:
        """By which the engine and `dr` find it."""
        ports = [port for _, port in self._servers]
        attached = f"gcp:{ports[0]},command:{ports[1]}"
        return {"PULUMI_DEBUG_PROVIDERS": attached, **endpoints(self.address)}

    def wait(self) -> None:
        """Serve until the process is ended."""
        self._servers[0][0].wait_for_termination()

    def stop(self) -> None:
        """Serve no more."""
        for serving, _ in self._servers:
            serving.stop(None).wait()
        self._http.shutdown()
        self._http.server_close()


def _provider(serves: AttachedProvider, port: int) -> tuple[grpc.Server, int]:
    limits = [("grpc.max_receive_message_length", _LARGEST), ("grpc.max_send_message_length", _LARGEST)]
    serving = grpc.server(ThreadPoolExecutor(max_workers=32), options=limits)
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(serves, serving)
    bound = serving.add_insecure_port(f"{HOST}:{port}")
    serving.start()
    return serving, bound


def of_lab(where: State) -> Double:
    """The lab's: on its fixed ports, with its node and its GCS server behind it."""
    cloud = Cloud(where.cloud, gcs.PROJECT)
    return Double(cloud, LabBackend(where), ports=component.PORTS, charts=where.charts)


@click.command()
@click.option("--cloud", "file", type=click.Path(path_type=Path), help="Where a cloud with nothing behind it is kept.")
@click.option("--lab", "lab", type=click.Path(path_type=Path), help="The state folder of the lab that is behind it.")
@click.option("--project", default="development-485000", show_default=True, help="The project that it is of.")
@click.option("--ports", nargs=3, type=int, default=(0, 0, 0), help="Of both providers and of HTTP; 0 is a free one.")
def main(file: Path | None, lab: Path | None, project: str, ports: tuple[int, int, int]) -> None:
    """Serve a double of Google's cloud: the lab's, or one with nothing behind it."""
    if lab is not None:
        double = of_lab(State(lab))
    elif file is not None:
        cloud = Cloud(file, project)
        double = Double(cloud, RecordOnlyBackend(cloud), ports=ports)
    else:
        raise click.UsageError("name --cloud FILE or --lab FOLDER")
    click.echo(json.dumps(double.variables()))
    double.wait()


if __name__ == "__main__":
    main()
