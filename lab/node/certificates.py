"""The cluster's certificates and its administrator's credentials, made once for each lab and valid for a year.

The administrator has a certificate and a token. Either would do; but a release of the Python client was once unable to
send a token (kubernetes 36.0.0 stores it under one name and looks for another), and some clients know only tokens.
"""

from __future__ import annotations

import ipaddress
import secrets
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from lab.node.network import ADDRESS, API_SERVICE

VALID_FOR = timedelta(days=365)
SERVER_NAMES = (
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
    "localhost",
)
_OF_MACHINE = Path("/etc/ssl/certs/ca-certificates.crt")
"""Of Debian's ca-certificates."""
SERVER_ADDRESSES = ("127.0.0.1", ADDRESS, API_SERVICE)


def up(folder: Path) -> None:
    """Have `ca.crt`, `api.{crt,key}`, `admin.{crt,key}`, `sa.key` and `token` in the folder."""
    complete = folder / "complete"
    if complete.exists():
        return
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    ca_key, ca = _authority()
    _write_key(folder / "ca.key", ca_key)
    _write_certificate(folder / "ca.crt", ca)
    for name, make in (("api", _server), ("admin", _administrator)):
        key = ec.generate_private_key(ec.SECP256R1())
        _write_key(folder / f"{name}.key", key)
        _write_certificate(folder / f"{name}.crt", make(ca_key, ca, key))
    # RS256 is what every client of service account tokens understands.
    _write_key(folder / "sa.key", rsa.generate_private_key(public_exponent=65537, key_size=2048))
    _write(folder / "token", secrets.token_hex(16).encode())
    complete.touch()


def trusted_with(authority: Path) -> str:
    """The authorities that this machine trusts and one more, as PEM, for whoever reaches the cluster without being told
    its authority: as the DNS endpoint of a cluster at Google is reached, which has a public certificate.
    """
    return _OF_MACHINE.read_text() + authority.read_text()


def self_signed(name: str, *, server: bool) -> tuple[bytes, bytes]:
    """A key and a certificate that is its own authority, as PEM, for a server of the DNS name `name` or a client."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _name(name)
    builder = _builder(subject, subject, key.public_key())
    purpose = ExtendedKeyUsageOID.SERVER_AUTH if server else ExtendedKeyUsageOID.CLIENT_AUTH
    builder = builder.add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
    certificate = builder.sign(key, hashes.SHA256())
    return _encoded(key), certificate.public_bytes(serialization.Encoding.PEM)


def _authority() -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name("dr-lab")
    usage = x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=True,
        crl_sign=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    builder = _builder(name, name, key.public_key())
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    builder = builder.add_extension(usage, critical=True)
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    return key, builder.sign(key, hashes.SHA256())


def _server(
    ca_key: ec.EllipticCurvePrivateKey, ca: x509.Certificate, key: ec.EllipticCurvePrivateKey
) -> x509.Certificate:
    names: list[x509.GeneralName] = [x509.DNSName(name) for name in SERVER_NAMES]
    names += [x509.IPAddress(ipaddress.ip_address(address)) for address in SERVER_ADDRESSES]
    builder = _builder(ca.subject, _name("kube-apiserver"), key.public_key())
    builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    # Python 3.13 and later refuse a chain without it.
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key())
    return builder.add_extension(issuer, critical=False).sign(ca_key, hashes.SHA256())


def _administrator(
    ca_key: ec.EllipticCurvePrivateKey, ca: x509.Certificate, key: ec.EllipticCurvePrivateKey
) -> x509.Certificate:
    # The API server reads the user from the common name and the groups from the organisations.
    group = x509.NameAttribute(NameOID.ORGANIZATION_NAME, "system:masters")
    subject = x509.Name([group, x509.NameAttribute(NameOID.COMMON_NAME, "admin")])
    purpose = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
    builder = _builder(ca.subject, subject, key.public_key())
    return builder.add_extension(purpose, critical=False).sign(ca_key, hashes.SHA256())


def _builder(issuer: x509.Name, subject: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .issuer_name(issuer)
        .subject_name(subject)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + VALID_FOR)
    )


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _write_key(path: Path, key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> None:
    _write(path, _encoded(key))


def _encoded(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )


def _write_certificate(path: Path, certificate: x509.Certificate) -> None:
    _write(path, certificate.public_bytes(serialization.Encoding.PEM))


def _write(path: Path, content: bytes) -> None:
    path.touch(mode=0o600)
    path.write_bytes(content)
