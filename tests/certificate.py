"""A self-signed certificate for loopback."""

import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """The files of a certificate; `both` is key and certificate in one, as HAProxy wants it."""

    certificate: Path
    key: Path
    both: Path


def make_certificate(directory: Path) -> Certificate:
    """Write a certificate for 127.0.0.1 and localhost that is good for two days."""
    made = Certificate(certificate=directory / "cert.pem", key=directory / "key.pem", both=directory / "both.pem")
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    files = ["-keyout", str(made.key), "-out", str(made.certificate), "-days", "2"]
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    subprocess.run([*command, *files, *subject], check=True, capture_output=True)
    made.both.write_text(made.certificate.read_text() + made.key.read_text())
    return made
