"""An authority, and key pairs that it has signed, as files in PEM format."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

DAY = datetime.timedelta(days=1)


class Authority:
    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        self.name = name
        self.key: Any = None
        self.key = self._issue(name)

    @property
    def ca(self) -> Path:
        return self.folder / f"{self.name}.pem"

    def pair(self, name: str) -> tuple[Path, Path]:
        self._issue(name)
        return self.folder / f"{name}.pem", self.folder / f"{name}.key"

    def _issue(self, subject: str) -> Any:
        key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(_name(subject))
            .issuer_name(_name(self.name))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - DAY)
            .not_valid_after(now + DAY)
            .add_extension(x509.BasicConstraints(self.key is None, None), critical=True)
        )
        signed = builder.sign(self.key or key, hashes.SHA256())
        pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
        (self.folder / f"{subject}.pem").write_bytes(signed.public_bytes(pem))
        private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)
        (self.folder / f"{subject}.key").write_bytes(private)
        return key


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])
