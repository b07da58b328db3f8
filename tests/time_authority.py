"""A time-stamp authority of the tests' own: openssl answers, a server on the loopback passes it on."""

import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

CONFIG = """\
[req]
distinguished_name = dn
prompt = no
[dn]
CN = unused
[root]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign
[stamps]
basicConstraints = CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = critical, timeStamping
[tsa]
default_tsa = {name}
[sorted]
{common}
[unsorted]
{common}
certs = $dir/ca.pem
"""
COMMON = """dir = {folder}
serial = $dir/serial
signer_cert = $dir/tsa.pem
signer_key = $dir/tsa.key
signer_digest = sha256
default_policy = 1.2.3.4
digests = sha256
ess_cert_id_alg = sha256"""


class Authority:
    """Certificates and answers; `unsorted` adds the root to the answer, in an order that DER does not allow."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "serial").write_text("01\n")
        self._configure("sorted")
        new = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        self._run(
            "req", "-x509", *new, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=Root", "-extensions", "root"
        )
        self._run("req", *new, "-keyout", "tsa.key", "-out", "tsa.csr", "-subj", "/CN=Authority of the tests")
        signed = ["x509", "-req", "-in", "tsa.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"]
        self._run(*signed, "-extfile", "tsa.cnf", "-extensions", "stamps", "-out", "tsa.pem")
        self.certificates = (folder / "ca.pem").read_bytes()

    def _configure(self, name: str) -> None:
        (self.folder / "tsa.cnf").write_text(CONFIG.format(name=name, common=COMMON.format(folder=self.folder)))

    def _run(self, *arguments: str) -> None:
        config = ["-config", "tsa.cnf"] if arguments[0] in ("req", "ts") else []
        subprocess.run(["openssl", *arguments, *config], cwd=self.folder, capture_output=True, check=True)

    def answer(self, request: bytes, *, unsorted: bool = False) -> bytes:
        """The response to a request."""
        self._configure("unsorted" if unsorted else "sorted")
        (self.folder / "q.tsq").write_bytes(request)
        self._run("ts", "-reply", "-queryfile", "q.tsq", "-out", "r.tsr")
        return (self.folder / "r.tsr").read_bytes()

    @contextmanager
    def serving(self) -> Iterator[str]:
        """The URL of a server that answers so."""
        authority = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                asked = self.rfile.read(int(self.headers["Content-Length"]))
                assert self.headers["Content-Type"] == "application/timestamp-query"
                response = authority.answer(asked)
                self.send_response(200)
                self.send_header("Content-Type", "application/timestamp-reply")
                self.end_headers()
                self.wfile.write(response)

            def log_message(self, *_: object) -> None:
                pass

        server = HTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()
            server.server_close()
