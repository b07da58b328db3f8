"""A node's door for tests: Core's RPC and REST requests and answers, as its documentation has them.

No node can be installed from a package registry, so the server is ours; the chain behind it is Core's own
library's, which validates the blocks and decides which tip is best.
"""

import base64
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from core_engine import pbk
from tiny_chain import shown

LOGIN = "__cookie__:5ecret"


class CoreNode:
    """Answers on the loopback for an engine; the switches make it fail as a node can."""

    def __init__(self, engine: Any, folder: Path, *, rest: bool) -> None:
        self.engine, self.rest = engine, rest
        self.lock = threading.RLock()
        self.warming_up = False
        self.prune_height: int | None = None
        self.chain_name = "regtest"
        self.asked: list[str] = []
        self.before_answer: Any = None
        self.cookie = folder / ".cookie"
        self.cookie.write_text(LOGIN)
        node = self

        class Handler(_Handler):
            core = node

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def add(self, raw: bytes) -> None:
        with self.lock:
            assert self.engine.process_block(pbk.Block(raw))

    @property
    def entries(self) -> Any:
        return self.engine.get_active_chain().block_tree_entries

    def tip(self) -> Any:
        return self.entries[self.engine.get_active_chain().height]

    def entry(self, name: str) -> Any:
        key = pbk.BlockHash(bytes.fromhex(name)[::-1])
        if key not in self.engine.block_tree_entries:
            raise RpcError(-5, "Block not found")
        return self.engine.block_tree_entries[key]

    def by_hash(self, name: str) -> bytes:
        """A block's bytes, of the best chain or beside it."""
        entry = self.entry(name)
        if self.prune_height is not None and entry.height < self.prune_height:
            raise RpcError(-1, "Block not available (pruned data)")
        return bytes(self.engine.blocks[entry])


class RpcError(Exception):
    def __init__(self, code: int, message: str) -> None:
        self.code, self.message = code, message


class _Handler(BaseHTTPRequestHandler):
    core: CoreNode
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *args: Any) -> None:
        pass

    def reply(self, status: int, body: bytes, kind: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        if status == 401:
            self.send_header("WWW-Authenticate", 'Basic realm="jsonrpc"')
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        wanted = "Basic " + base64.b64encode(self.core.cookie.read_bytes()).decode()
        if self.headers.get("Authorization") != wanted:
            return self.reply(401, b"")
        calls = body if isinstance(body, list) else [body]
        with self.core.lock:
            answers = [self.one(call) for call in calls]
        status = 200 if isinstance(body, list) or not answers[0]["error"] else 500
        self.reply(status, json.dumps(answers if isinstance(body, list) else answers[0]).encode())

    def one(self, call: dict[str, Any]) -> dict[str, Any]:
        try:
            if self.core.warming_up:
                raise RpcError(-28, "Verifying blocks…")
            result = getattr(self, "rpc_" + call["method"])(*call["params"])
            return {"result": result, "error": None, "id": call["id"]}
        except RpcError as error:
            return {"result": None, "error": {"code": error.code, "message": error.message}, "id": call["id"]}

    def rpc_getblockchaininfo(self) -> dict[str, Any]:
        self.core.asked.append("getblockchaininfo")
        tip = self.core.tip()
        info = {
            "chain": self.core.chain_name, "blocks": tip.height, "headers": tip.height,
            "bestblockhash": shown(bytes(tip.block_hash)), "initialblockdownload": False,
            "pruned": self.core.prune_height is not None,
        }  # fmt: skip
        return info | ({"pruneheight": self.core.prune_height} if self.core.prune_height is not None else {})

    def rpc_getblockhash(self, height: int) -> str:
        self.core.asked.append("getblockhash")
        if self.core.before_answer and height >= 500:
            self.core.before_answer()
        if not 0 <= height <= self.core.tip().height:
            raise RpcError(-8, "Block height out of range")
        return shown(bytes(self.core.entries[height].block_hash))

    def rpc_getblockheader(self, name: str, verbose: bool) -> str:
        self.core.asked.append("getblockheader")
        assert verbose is False
        return self.core.by_hash(name)[:80].hex()

    def rpc_getblock(self, name: str, verbosity: int) -> str:
        self.core.asked.append("getblock")
        assert verbosity == 0
        return self.core.by_hash(name).hex()

    def do_GET(self) -> None:
        if not self.core.rest:
            return self.reply(404, b"")
        if self.core.warming_up:
            return self.reply(503, "Service temporarily unavailable: Verifying blocks…\r\n".encode(), "text/plain")
        parts = self.path.split("/")
        with self.core.lock:
            try:
                if self.path == "/rest/chaininfo.json":
                    return self.reply(200, json.dumps(self.rpc_getblockchaininfo()).encode())
                if parts[2] == "block":
                    self.core.asked.append("/rest/block")
                    raw = self.core.by_hash(parts[3].removesuffix(".bin"))
                    return self.reply(200, raw, "application/octet-stream")
                self.core.asked.append("/rest/headers")
                if self.core.before_answer:
                    self.core.before_answer()
                return self.reply(200, self.headers_from(int(parts[3]), parts[4].removesuffix(".bin")))
            except RpcError as error:
                what = f"{parts[3].removesuffix('.bin')} "
                text = what + ("not available (pruned data)" if error.code == -1 else "not found") + "\r\n"
                return self.reply(404, text.encode(), "text/plain")

    def headers_from(self, count: int, name: str) -> bytes:
        """Headers of the best chain from a block on; none where the block is not on it."""
        entry = self.core.entry(name)
        if entry.height > self.core.tip().height or shown(bytes(self.core.entries[entry.height].block_hash)) != name:
            return b""
        end = min(entry.height + count, self.core.tip().height + 1)
        blocks = (self.core.engine.blocks[self.core.entries[height]] for height in range(entry.height, end))
        return b"".join(bytes(block)[:80] for block in blocks)
