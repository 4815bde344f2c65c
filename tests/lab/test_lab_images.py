"""Image archives are what `docker save` would write; containerd's own import is tried by the lab itself."""

from __future__ import annotations

import hashlib
import json
import tarfile
from pathlib import Path

import pytest

from lab.images.archive import ImageConfig, architecture, write_image, write_image_on, write_layer


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    program = tmp_path / "program"
    program.write_bytes(b"\x7fELF")
    layer = tmp_path / "layer.tar"
    write_layer(layer, {"opt/app/run": program}, {"run": "opt/app/run"})
    image = tmp_path / "image.tar"
    config = ImageConfig(entrypoint=("/run",), user="26:26", environment={"PATH": "/bin"})
    write_image(image, "lab.local/test:1", layer, config)
    return image


def member(archive: Path, name: str) -> bytes:
    with tarfile.open(archive) as tar:
        stream = tar.extractfile(name)
        assert stream is not None
        return stream.read()


def test_manifest_names_what_is_there(archive: Path) -> None:
    (manifest,) = json.loads(member(archive, "manifest.json"))
    assert manifest["RepoTags"] == ["lab.local/test:1"]
    with tarfile.open(archive) as tar:
        assert {manifest["Config"], *manifest["Layers"]} <= set(tar.getnames())


def test_digests_are_true(archive: Path) -> None:
    (manifest,) = json.loads(member(archive, "manifest.json"))
    config = member(archive, manifest["Config"])
    assert manifest["Config"] == f"{hashlib.sha256(config).hexdigest()}.json"
    digest = hashlib.sha256(member(archive, manifest["Layers"][0])).hexdigest()
    assert json.loads(config)["rootfs"]["diff_ids"] == [f"sha256:{digest}"]


def test_config_says_how_to_run(archive: Path) -> None:
    (manifest,) = json.loads(member(archive, "manifest.json"))
    config = json.loads(member(archive, manifest["Config"]))
    assert (config["os"], config["architecture"]) == ("linux", architecture())
    assert config["config"] == {"Entrypoint": ["/run"], "User": "26:26", "Env": ["PATH=/bin"]}


def test_layer_holds_folders_executables_and_links(archive: Path, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "layer.tar") as tar:
        entries = {entry.name: entry for entry in tar.getmembers()}
    assert [name for name, entry in entries.items() if entry.isdir()] == ["opt", "opt/app"]
    assert entries["opt/app/run"].mode == 0o755
    assert entries["opt/app/run"].uid == 0
    assert entries["run"].linkname == "opt/app/run"


def test_same_content_same_bytes(archive: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.tar"
    write_layer(again, {"opt/app/run": tmp_path / "program"}, {"run": "opt/app/run"})
    assert again.read_bytes() == (tmp_path / "layer.tar").read_bytes()


def test_image_on_another_holds_the_layer_on_top_and_names_the_one_below(archive: Path, tmp_path: Path) -> None:
    layer = tmp_path / "layer.tar"
    write_layer(layer, {"more": tmp_path / "program"}, {})
    image = tmp_path / "on-top.tar"

    write_image_on(image, "lab.local/on-top:1", archive, layer, ImageConfig(entrypoint=("/more",)))

    (below,) = json.loads(member(archive, json.loads(member(archive, "manifest.json"))[0]["Config"]))["rootfs"][
        "diff_ids"
    ]
    on_top = f"sha256:{hashlib.sha256(layer.read_bytes()).hexdigest()}"
    (named,) = json.loads(member(image, "index.json"))["manifests"]
    manifest = json.loads(blob(image, named["digest"]))
    assert named["annotations"] == {"io.containerd.image.name": "lab.local/on-top:1"}
    assert [entry["digest"] for entry in manifest["layers"]] == [below, on_top]
    assert manifest["layers"][0]["size"] == len(member(archive, "layer.tar"))
    config = json.loads(blob(image, manifest["config"]["digest"]))
    assert config["rootfs"]["diff_ids"] == [below, on_top]
    assert blob(image, on_top) == layer.read_bytes()
    with tarfile.open(image) as tar:
        assert f"blobs/sha256/{below.removeprefix('sha256:')}" not in tar.getnames()


def blob(archive: Path, digest: str) -> bytes:
    content = member(archive, f"blobs/sha256/{digest.removeprefix('sha256:')}")
    assert hashlib.sha256(content).hexdigest() == digest.removeprefix("sha256:")
    return content
