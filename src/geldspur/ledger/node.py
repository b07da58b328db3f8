"""A running Bitcoin node as a source of blocks, for following its tip: JSON-RPC, and REST where it is on.

The node is asked for nothing but hashes, headers and blocks, and the headers must link up from what the caller
knows to the node's best block. Source of requests and answers: Bitcoin Core, src/rpc/blockchain.cpp,
src/rest.cpp, src/httprpc.cpp, src/rpc/protocol.h, doc/REST-interface.md.
"""

import base64
import json
import os
import re
from collections.abc import Iterator, Sequence
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from threading import Lock
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from geldspur.bitcoin.headers import HEADER_SIZE, Header, parse_header
from geldspur.bitcoin.networks import MAINNET, NETWORKS, REGTEST, SIGNET, TESTNET3, TESTNET4, Network
from geldspur.errors import GeldspurError, UsageError
from geldspur.ledger.sources import MAX_BLOCK, BlockRef, Bytes, Chain, Rows

LOOPBACK = "127.0.0.1"
USER, PASSWORD = "GELDSPUR_RPC_USER", "GELDSPUR_RPC_PASSWORD"
"""Environment variables with the name and password of the node's `rpcauth` or `rpcuser`."""
# Core's name of each chain, its RPC port, and where below the data directory its cookie lies.
_CHAINS = {
    "main": (MAINNET, 8332, ""), "test": (TESTNET3, 18332, "testnet3"), "testnet4": (TESTNET4, 48332, "testnet4"),
    "signet": (SIGNET, 38332, "signet"), "regtest": (REGTEST, 18443, "regtest"),
}  # fmt: skip
_WARMING_UP = -28
_NOT_FOUND = (-5, -8)
_HEADERS_A_REQUEST = 2_000
_BLOCKS_A_REQUEST = 8
_MAX_ANSWER = 128 << 20
_TRIES = 3


class Node:
    """A node that answers at `host` and `port`.

    It is asked as the user that the file `login` names, `user:password` in one line: a node's own `.cookie`, or
    a file of yours. Without one the environment is looked at (`USER`, `PASSWORD`), then the cookie in Core's
    default data directory. The file is read anew for each connection, since a node makes a new cookie at each
    start. Raises `GeldspurError` where the node can't be reached, refuses, is of another network or not ready.
    """

    def __init__(
        self,
        network: Network | None = None,
        *,
        host: str = LOOPBACK,
        port: int | None = None,
        login: Path | None = None,
        timeout: float = 60,
    ) -> None:
        expected = next(c for c in _CHAINS.values() if c[0] is (network or MAINNET))
        self.host, self.port = host, port or expected[1]
        self._login = login
        self._default_cookie = Path.home() / ".bitcoin" / expected[2] / ".cookie"
        self._timeout = timeout
        self._connection: HTTPConnection | None = None
        self._lock = Lock()
        self.notes: list[str] = []
        name = self._call("getblockchaininfo").get("chain")
        if not isinstance(name, str) or name not in _CHAINS:
            raise self._error(f"the node is of a network that Geldspur doesn't know: {name!r}")
        self.network = _CHAINS[name][0]
        if network not in (None, self.network):
            assert network is not None
            raise self._error(
                f"the node is on {self.network.name}, not on {network.name}",
                todo=f"name its port, or use --network {self.network.name}",
            )
        self._rest = self._get("/rest/chaininfo.json")[0] == 200

    @classmethod
    def from_description(cls, description: dict[str, Any]) -> Self:
        """The node that `describe` told of."""
        login = description["login"]
        return cls(
            NETWORKS[description["network"]],
            host=description["host"],
            port=description["port"],
            login=Path(login) if login else None,
        )

    def describe(self) -> dict[str, Any]:
        """Where the node is, and the path of the file with its login, not what it holds."""
        login = str(self._login.resolve()) if self._login else None
        return {"kind": "node", "network": self.network.name, "host": self.host, "port": self.port, "login": login}

    def chain(self, to_height: int | None = None, known: Bytes | None = None, from_height: int = 0) -> Chain:
        """See `Source.chain`. With `known`, only what follows the fork is asked for."""
        for _ in range(_TRIES):
            info = self._call("getblockchaininfo")
            if not isinstance(info.get("blocks"), int):
                raise self._error("what answers is no Bitcoin node", todo="check host and port")
            tip = int(info["blocks"])
            if max(from_height, to_height or 0) > tip:
                raise self._error(f"the node's chain ends at height {tip:,}, before what is asked for")
            last = tip if to_height is None else to_height
            first = from_height if known is None else self._fork(known, from_height, last)
            least = int(info.get("pruneheight", 0)) if info.get("pruned") else 0
            if first <= last and first < least:
                raise self._error(
                    f"the node is pruned: it has blocks from height {least:,} on, not those from {first:,} on",
                    todo="use a node that keeps all blocks",
                )
            headers = self._headers(first, last)
            if known is not None and first > from_height:
                before = known[first - from_height - 1].tobytes()
            else:
                before = headers[0].previous if headers else bytes(32)
            end = headers[-1].hash if headers else before
            if _linked(headers, before) and (last < tip or end[::-1].hex() == info["bestblockhash"]):
                return self._as_chain(first, headers)
        raise self._error("the node's chain changed each time it was read", todo="try again")

    def read(self, refs: Sequence[BlockRef], buf: Bytes, starts: Rows) -> Rows:
        """See `Source.read`."""
        sizes = np.empty(len(refs), np.int64)
        for k, raw in enumerate(self._blocks(refs)):
            ref = refs[k]
            if len(raw) > ref.size or raw[:HEADER_SIZE] != ref.header.raw:
                raise self._error(f"the node answered with something else than block {_shown(ref.header.hash)}")
            buf[starts[k] : starts[k] + len(raw)] = np.frombuffer(raw, np.uint8)
            sizes[k] = len(raw)
        return sizes

    def sizes(self, refs: Sequence[BlockRef]) -> npt.NDArray[np.uint32] | None:
        """None: blocks are whole."""
        return None

    # What a chain is made of

    def _fork(self, known: Bytes, begin: int, last: int) -> int:
        """The first height at which the node's chain is not the known one: looked for from the tip down."""
        end, step = min(begin + len(known), last + 1), 100
        while end > begin:
            start = max(begin, end - step)
            theirs = self._hashes(range(start, end))
            for height in range(end - 1, start - 1, -1):
                if known[height - begin].tobytes() == theirs[height - start]:
                    return height + 1
            end, step = start, 10 * step
        return begin

    def _hashes(self, heights: range) -> list[bytes]:
        """Hashes of the node's best chain; none where it ends below."""
        answers = self._batch([("getblockhash", [height]) for height in heights], missing="")
        try:
            return [bytes.fromhex(answer)[::-1] for answer in answers]
        except (TypeError, ValueError) as error:
            raise self._error("the node's answer is no block hash", todo="check host and port") from error

    def _headers(self, first: int, last: int) -> list[Header]:
        """Headers of heights `first` to `last`; fewer where the chain ends or turns meanwhile."""
        headers: list[Header] = []
        while first + len(headers) <= last:
            start = first + len(headers)
            heights = range(start, min(last + 1, start + _HEADERS_A_REQUEST))
            names = self._hashes(heights[:1] if self._rest else heights)
            if self._rest:
                path = f"/rest/headers/{len(heights)}/{_shown(names[0])}.bin"
                raw = self._rest_body(path) if names[0] else b""
            else:
                calls = [("getblockheader", [_shown(name), False]) for name in names if name]
                raw = bytes.fromhex("".join(self._batch(calls, missing="")))
            got = [parse_header(raw[at : at + HEADER_SIZE]) for at in range(0, len(raw) - HEADER_SIZE + 1, HEADER_SIZE)]
            if not got:
                break
            headers += got
        for header in headers:
            if not header.has_work(self.network):
                raise self._error(f"the header of block {_shown(header.hash)} does not carry the work that it claims")
        if not first and headers and headers[0].hash != self.network.genesis_hash:
            raise self._error(f"the node's first block is not the genesis block of {self.network.name}")
        return headers

    def _as_chain(self, first: int, headers: list[Header]) -> Chain:
        count = len(headers)
        return Chain(
            self.network, first,
            np.frombuffer(b"".join([h.raw for h in headers]), np.uint8).reshape(-1, HEADER_SIZE),
            np.frombuffer(b"".join([h.hash for h in headers]), np.uint8).reshape(-1, 32),
            np.full(count, MAX_BLOCK, np.int64), np.zeros(count, np.uint32),
            np.arange(first, first + count, dtype=np.int64), [self._name], "height",
        )  # fmt: skip

    def _blocks(self, refs: Sequence[BlockRef]) -> Iterator[bytes]:
        """Blocks by hash, so that a reorg meanwhile changes nothing."""
        names = [_shown(ref.header.hash) for ref in refs]
        if self._rest:
            for name in names:
                yield self._rest_body(f"/rest/block/{name}.bin")
            return
        for start in range(0, len(names), _BLOCKS_A_REQUEST):
            for answer in self._batch([("getblock", [name, 0]) for name in names[start : start + _BLOCKS_A_REQUEST]]):
                yield bytes.fromhex(answer)

    # How it is asked

    def _call(self, method: str, *params: Any) -> Any:
        """One result, which is an object for all methods that are called so."""
        result = self._batch([(method, list(params))])[0]
        if not isinstance(result, dict):
            raise self._error("what answers is no Bitcoin node", todo="check host and port")
        return result

    def _batch(self, calls: list[tuple[str, list[Any]]], missing: Any = None) -> list[Any]:
        """Results in the order of the calls; `missing` for blocks that the node doesn't have, unless that is None."""
        if not calls:
            return []
        body = [{"jsonrpc": "1.0", "id": k, "method": m, "params": p} for k, (m, p) in enumerate(calls)]
        status, text = self._send("POST", "/", json.dumps(body).encode())
        try:
            answers = json.loads(text)
            answers = [answers] if isinstance(answers, dict) else sorted(answers, key=lambda answer: answer["id"])
            errors = [answer.get("error") for answer in answers]
            if not all(error is None or isinstance(error, dict) for error in errors):
                raise TypeError("an error is an object")
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise self._error(
                f"what answers is no Bitcoin node (HTTP status {status})", todo="check host and port"
            ) from error
        results = []
        for answer, failed in zip(answers, errors, strict=True):
            if failed and not (missing is not None and failed.get("code") in _NOT_FOUND):
                raise self._refused(failed.get("code"), str(failed.get("message")))
            results.append(missing if failed else answer.get("result"))
        if len(results) != len(calls):
            raise self._error(f"the node answered {len(results)} of {len(calls)} calls")
        return results

    def _refused(self, code: Any, message: str) -> GeldspurError:
        if code == _WARMING_UP:
            return self._error(f"the node is still starting: {message}", todo="try again when it is ready")
        if "pruned" in message:
            return self._error(f"the node has deleted the block: {message}", todo="use a node that keeps all blocks")
        return self._error(f"the node refuses: {message} (code {code})")

    def _get(self, path: str) -> tuple[int, bytes]:
        return self._send("GET", path, None)

    def _rest_body(self, path: str) -> bytes:
        status, body = self._get(path)
        if status != 200:
            message = body.decode(errors="replace").strip()[:200]
            raise self._refused(_WARMING_UP if status == 503 else status, message)
        return body

    def _send(self, method: str, path: str, body: bytes | None) -> tuple[int, bytes]:
        """Status and body of an answer. A connection that the node has closed meanwhile is opened anew, once."""
        with self._lock:
            for again in (True, False):
                kept = self._connection is not None
                try:
                    return self._exchange(method, path, body)
                except (OSError, HTTPException) as error:
                    self._connection = None
                    if kept and again and not isinstance(error, TimeoutError):
                        continue
                    raise self._unreachable(error) from error
        raise AssertionError

    def _exchange(self, method: str, path: str, body: bytes | None) -> tuple[int, bytes]:
        if self._connection is None:
            self._connection = HTTPConnection(self.host, self.port, timeout=self._timeout)
        # REST asks for no login, and gets none.
        headers = {"Authorization": self._authorization(), "Content-Type": "application/json"} if body else {}
        self._connection.request(method, path, body, headers)
        response = self._connection.getresponse()
        answer = response.read(_MAX_ANSWER + 1)
        if response.will_close or len(answer) > _MAX_ANSWER:
            self._connection.close()
            self._connection = None
        if len(answer) > _MAX_ANSWER:
            raise self._error("the answer is longer than any that was asked for")
        if body and response.status in (401, 403):
            raise self._error(
                "the node doesn't accept the login" if response.status == 401 else "the node takes no calls from here",
                todo=f"give the node's .cookie or a file with user:password, or set {USER} and {PASSWORD}"
                if response.status == 401
                else "see rpcallowip in the node's bitcoin.conf",
            )
        return response.status, answer

    def _authorization(self) -> str:
        if self._login is None and os.environ.get(USER) and os.environ.get(PASSWORD):
            login = f"{os.environ[USER]}:{os.environ[PASSWORD]}"
        else:
            path = self._login or self._default_cookie
            try:
                login = path.read_text().strip()
            except OSError as error:
                raise UsageError(
                    f"no login for the node: {path} can't be read ({error.strerror})",
                    todo=f"give the node's .cookie or a file with user:password, or set {USER} and {PASSWORD}",
                ) from error
            if ":" not in login or "\n" in login:
                raise UsageError(f"{path} holds no login", where=str(path), todo="one line is expected: user:password")
        return "Basic " + base64.b64encode(login.encode()).decode()

    # How it is named

    @property
    def _name(self) -> str:
        return f"node {self.host}:{self.port}"

    def _error(self, what: str, todo: str | None = None) -> GeldspurError:
        return GeldspurError(what, where=self._name, todo=todo)

    def _unreachable(self, error: Exception) -> GeldspurError:
        if isinstance(error, TimeoutError):
            return self._error(f"the node did not answer within {self._timeout:g} s", todo="try again")
        if isinstance(error, HTTPException):
            return self._error("what answers does not speak HTTP", todo="check host and port")
        reason = getattr(error, "strerror", None) or str(error)
        return self._error(
            f"the node can't be reached: {reason}", todo="is it running with server=1, and are host and port right?"
        )


def parse_address(text: str) -> tuple[str, int | None]:
    """Host and port of `HOST`, `HOST:PORT`, `[IPv6]` or `[IPv6]:PORT`; UsageError for anything else."""
    match = re.fullmatch(r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(?::([0-9]{1,5}))?", text)
    if match is None or int(match[2] or 0) > 65535:
        raise UsageError(
            f"{text!r} is no address of a node",
            todo="give HOST or HOST:PORT; a login goes into a file or the environment, never here",
        )
    return match[1].strip("[]"), int(match[2]) if match[2] else None


def _linked(headers: Sequence[Header], before: bytes) -> bool:
    """Does each header name the one before it?"""
    for header in headers:
        if header.previous != before:
            return False
        before = header.hash
    return True


def _shown(name: bytes) -> str:
    return name[::-1].hex()
