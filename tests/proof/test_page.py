"""docs/packages.md says what the verifier does, and its commands work."""

import re
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

import tiny_package
from geldspur.proof import verifier

PAGE = (Path(__file__).parents[2] / "docs/packages.md").read_text(encoding="utf-8")


def test_every_check_is_described_in_its_order():
    described = re.findall(r"^\| `([a-z]+)` \| ", PAGE[PAGE.index("## What each check shows") :], re.MULTILINE)
    assert described == [*(name for name, _ in verifier.CHECKS), "chain"]


def test_every_file_that_a_package_must_have_is_described():
    for name in (*verifier.REQUIRED, verifier.MANIFEST, "report.pdf"):
        assert f"| `{name}` |" in PAGE


@pytest.fixture
def node(chain):
    """A stand-in for a node's REST interface, which tells at most 100 headers at a time."""
    place = {block.hash: i for i, block in enumerate(chain.blocks)}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            found = re.fullmatch(r"/rest/headers/2000/([0-9a-f]{64})\.bin", self.path)
            start = place[found[1]]
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"".join(block.header for block in chain.blocks[start : start + 100]))

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


def test_the_script_that_fetches_headers_gives_a_file_that_the_verifier_takes(honest, chain, node, tmp_path, report_on):
    script = re.search(r"```python\n(.*?)```", PAGE, re.DOTALL)[1]
    script = "\n".join(line.removeprefix("   ") for line in script.splitlines())
    for before, after in (
        (verifier.NETWORKS["mainnet"].genesis, verifier.NETWORKS["regtest"].genesis),
        ("127.0.0.1:8332", f"127.0.0.1:{node}"),
        ('"headers"', repr(str(tmp_path / "headers"))),
    ):
        assert before in script
        script = script.replace(before, after)
    exec(compile(script, "docs/packages.md", "exec"), {})  # the page is our own

    assert (tmp_path / "headers").read_bytes() == b"".join(block.header for block in chain.blocks)
    assert report_on(honest, tmp_path / "headers").verified


def test_the_sha256_that_a_recipient_compares_is_that_of_the_source(honest):
    assert verifier.own_sha256() == tiny_package.hashlib.sha256(honest["verify.py"]).hexdigest()
