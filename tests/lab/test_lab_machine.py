"""What the lab changes on the machine is remembered and put back; its certificates are what their names say."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from lab import machine
from lab.node import certificates
from lab.paths import State


def test_first_record_is_kept(tmp_path: Path) -> None:
    where = State(tmp_path)
    machine.remember(where)
    before = where.machine_before.read_text()
    where.machine_before.write_text(before.replace("}", " }"))
    machine.remember(where)
    assert where.machine_before.read_text() != before, "an already changed machine was taken for an untouched one"


def test_folders_that_were_absent_go_if_they_are_empty(tmp_path: Path) -> None:
    empty, used = tmp_path / "empty", tmp_path / "used"
    empty.mkdir()
    (used / "by somebody").mkdir(parents=True)
    where = State(tmp_path / "state")
    where.root.mkdir()
    folders = [str(empty), str(used), str(tmp_path / "gone")]
    where.machine_before.write_text(json.dumps({"sysctls": {"no/such/sysctl": "1"}, "absent_folders": folders}))
    machine.put_back(where)
    assert not empty.exists()
    assert used.exists()


def test_nothing_remembered_nothing_put_back(tmp_path: Path) -> None:
    machine.put_back(State(tmp_path))
    (tmp_path / "machine-before.json").write_text("{")
    machine.put_back(State(tmp_path))


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pki")
    certificates.up(folder)
    return folder


def read(file: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(file.read_bytes())


@pytest.mark.parametrize("name", ["api", "admin"])
def test_certificates_are_signed_by_the_authority(pki: Path, name: str) -> None:
    read(pki / f"{name}.crt").verify_directly_issued_by(read(pki / "ca.crt"))


def test_server_certificate_names_every_address(pki: Path) -> None:
    found = read(pki / "api.crt").extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert {str(address) for address in found.get_values_for_type(x509.IPAddress)} == {
        "127.0.0.1",
        "10.88.0.1",
        "10.96.0.1",
    }


def test_administrator_is_in_the_group_that_may_do_everything(pki: Path) -> None:
    subject = read(pki / "admin.crt").subject
    assert [name.value for name in subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)] == ["system:masters"]


def test_secrets_are_for_root_only(pki: Path) -> None:
    for file in pki.iterdir():
        if file.name != "complete":
            assert stat.S_IMODE(file.stat().st_mode) == 0o600, file


def test_credentials_are_made_once(pki: Path) -> None:
    before = {file.name: file.read_bytes() for file in pki.iterdir()}
    certificates.up(pki)
    assert {file.name: file.read_bytes() for file in pki.iterdir()} == before
