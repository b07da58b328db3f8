"""A node as a source: its chain read, followed and reorganised; every way in which a node can say no."""

import gc
import os
import shutil
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from core_engine import mine, open_engine, pbk
from core_node import LOGIN, CoreNode
from geldspur.bitcoin.headers import parse_header
from geldspur.bitcoin.networks import MAINNET, REGTEST
from geldspur.errors import GeldspurError, UsageError
from geldspur.ledger.node import PASSWORD, USER, Node, parse_address
from geldspur.ledger.sources import read_block, reopen
from tiny_chain import TinyChain, sha256d

LENGTH = 801


@pytest.fixture(scope="module")
def blocks(unpacked):
    """Case S's best chain as bytes, by height."""
    whole = TinyChain(unpacked("S")).blocks
    assert len(whole) == LENGTH
    return [
        b.header + (bytes([len(b.txs)]) if len(b.txs) < 253 else b"\xfd" + len(b.txs).to_bytes(2, "little"))
        + b"".join(tx.raw for tx in b.txs)
        for b in whole
    ]  # fmt: skip


@pytest.fixture(scope="module")
def filled(blocks, tmp_path_factory):
    """A node's folder with case S's blocks, to be copied."""
    folder = tmp_path_factory.mktemp("filled")
    engine = open_engine(folder)
    for raw in blocks[1:]:
        assert engine.process_block(pbk.Block(raw))
    del engine
    gc.collect()  # the engine's files are whole when it is gone
    return folder


@pytest.fixture(params=["rpc", "rest"])
def core(request, filled, tmp_path):
    shutil.copytree(filled, tmp_path / "engine")
    node = CoreNode(open_engine(tmp_path / "engine"), tmp_path, rest=request.param == "rest")
    yield node
    node.close()


@pytest.fixture
def node(core):
    return Node(REGTEST, port=core.port, login=core.cookie)


def names(blocks):
    return np.frombuffer(b"".join(sha256d(raw[:80]) for raw in blocks), np.uint8).reshape(-1, 32)


def branch(blocks, height, length):
    """Blocks of our own on top of a height."""
    made = []
    previous, seconds = sha256d(blocks[height][:80]), int.from_bytes(blocks[-1][68:72], "little")
    for k in range(length):
        made.append(mine(previous, height + 1 + k, seconds + 600 + k, b"ours"))
        previous = sha256d(made[-1][:80])
    return made


def test_the_whole_chain_is_read(node, blocks):
    chain = node.chain()
    assert (chain.first_height, len(chain)) == (0, LENGTH)
    assert (chain.hash == names(blocks)).all()
    refs = chain.refs(300, LENGTH)
    starts = np.arange(len(refs)) * 500_000
    buf = np.zeros(len(refs) * 500_000, np.uint8)
    refs = [type(r)(r.header, 500_000, r.file, r.offset, r.place) for r in refs]
    for start, size, raw in zip(starts, node.read(refs, buf, starts), blocks[300:], strict=True):
        assert buf[start : start + size].tobytes() == raw


def test_several_threads_may_read(node, blocks):
    refs = node.chain().refs(0, 200)
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda ref: read_block(node, ref), refs)) == blocks[:200]


def test_following_the_tip_asks_only_for_what_is_new(node, core, blocks):
    new = branch(blocks, LENGTH - 1, 3)
    for raw in new:
        core.add(raw)
    core.asked.clear()
    chain = node.chain(known=names(blocks))
    assert (chain.first_height, len(chain)) == (LENGTH, 3)
    assert [read_block(node, ref) for ref in chain.refs(0, 3)] == new
    assert len(core.asked) < 120


def test_nothing_new_is_nothing(node, blocks):
    chain = node.chain(known=names(blocks))
    assert (chain.first_height, len(chain)) == (LENGTH, 0)


@pytest.mark.parametrize("depth", [1, 7, 100, 300])
def test_a_reorg_begins_at_the_fork(node, core, blocks, depth):
    fork = LENGTH - 1 - depth
    ours = branch(blocks, fork, depth + 1)
    for raw in ours:
        core.add(raw)
    chain = node.chain(known=names(blocks))
    assert (chain.first_height, len(chain)) == (fork + 1, depth + 1)
    assert (chain.hash == names(ours)).all()


def test_a_shorter_chain_on_the_node_is_its_chain(node, blocks):
    """What the caller knows may be longer than what the node has: it then restarted from an older state."""
    known = names(blocks + branch(blocks, LENGTH - 1, 5))
    chain = node.chain(known=known)
    assert (chain.first_height, len(chain)) == (LENGTH, 0)


def test_a_height_may_be_asked_for(node, blocks):
    chain = node.chain(to_height=500, known=names(blocks[:400]))
    assert (chain.first_height, len(chain)) == (400, 101)
    with pytest.raises(GeldspurError, match="ends at height 800"):
        node.chain(to_height=801)


def test_a_range_of_heights_may_be_asked_for(node, core, blocks):
    chain = node.chain(from_height=600)
    assert (chain.first_height, len(chain)) == (600, LENGTH - 600)
    assert (chain.hash == names(blocks[600:])).all()
    for raw in branch(blocks, 700, 101):
        core.add(raw)
    rest = node.chain(from_height=600, known=chain.hash)
    assert (rest.first_height, len(rest)) == (701, 101)
    with pytest.raises(GeldspurError, match="ends at height 801"):
        node.chain(from_height=900)


def test_a_reorg_while_the_chain_is_read_is_read_again(node, core, blocks):
    ours = branch(blocks, LENGTH - 50, 60)

    def turn():
        core.before_answer = None
        for raw in ours:
            core.add(raw)

    core.before_answer = turn
    chain = node.chain()
    assert len(chain) == LENGTH - 49 + 60
    assert chain.hash[-1].tobytes() == sha256d(ours[-1][:80])
    for row in range(1, len(chain)):
        assert chain.header[row, 4:36].tobytes() == chain.hash[row - 1].tobytes()


def test_a_block_that_left_the_best_chain_can_still_be_read(node, core, blocks):
    ref = node.chain().ref(LENGTH - 1)
    for raw in branch(blocks, LENGTH - 3, 5):
        core.add(raw)
    assert read_block(node, ref) == blocks[-1]


def test_the_description_holds_no_secret(node, core, blocks):
    assert "5ecret" not in repr(node.describe()) + repr(vars(node))
    ref = node.chain().ref(100)
    assert read_block(reopen(node.describe()), ref) == blocks[100]


# Saying who asks


def refused(core, **options):
    options = {"port": core.port, "login": core.cookie} | options
    with pytest.raises(GeldspurError) as caught:
        Node(REGTEST, **options)
    assert "5ecret" not in str(caught.value)
    return caught.value


def test_a_wrong_password_is_refused(core, tmp_path):
    (tmp_path / "mine").write_text("me:wrong")
    error = refused(core, login=tmp_path / "mine")
    assert "doesn't accept the login" in error.what
    assert ".cookie" in error.todo


def test_a_user_and_password_in_a_file_or_the_environment_are_accepted(core, tmp_path, monkeypatch):
    (tmp_path / "mine").write_text(LOGIN + "\n")
    assert Node(REGTEST, port=core.port, login=tmp_path / "mine").network is REGTEST
    user, password = LOGIN.split(":")
    monkeypatch.setenv(USER, user)
    monkeypatch.setenv(PASSWORD, password)
    assert Node(REGTEST, port=core.port).network is REGTEST


def test_the_cookie_of_cores_default_folder_is_found(core, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv(USER, raising=False)
    folder = tmp_path / ".bitcoin" / "regtest"
    assert isinstance(refused(core, login=None), UsageError)
    folder.mkdir(parents=True)
    (folder / ".cookie").write_text(LOGIN)
    assert Node(REGTEST, port=core.port).network is REGTEST


@pytest.mark.parametrize("content", ["", "no colon", "a:b\nc:d"])
def test_a_file_without_a_login_is_refused(core, tmp_path, content):
    (tmp_path / "mine").write_text(content)
    assert "holds no login" in refused(core, login=tmp_path / "mine").what


def test_a_new_cookie_is_read_when_the_node_restarts(core, node, blocks):
    core.cookie.write_text("__cookie__:an0ther")
    assert len(node.chain(known=names(blocks))) == 0


# Nodes that can't answer


def test_nobody_there_is_said(core):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    error = refused(core, port=port)
    assert "can't be reached: Connection refused" in error.what
    assert f"127.0.0.1:{port}" in error.where


def test_a_node_that_is_silent_is_not_waited_for_for_ever(core):
    with socket.create_server(("127.0.0.1", 0)) as server:
        error = refused(core, port=server.getsockname()[1], timeout=0.2)
    assert "did not answer within 0.2 s" in error.what


@pytest.mark.parametrize("answer", [b"SSH-2.0-OpenSSH\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", b""])
def test_something_else_than_a_node_is_told(core, answer):
    def speak(server):
        while True:
            try:
                peer, _ = server.accept()
            except OSError:
                return
            with peer:
                peer.recv(1 << 16)
                peer.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=speak, args=(server,), daemon=True).start()
        error = refused(core, port=server.getsockname()[1])
        server.shutdown(socket.SHUT_RDWR)
    assert "HTTP" in error.what or "node can't be reached" in error.what


def test_a_node_that_starts_is_not_ready(core, node):
    core.warming_up = True
    assert "still starting: Verifying blocks" in refused(core).what
    with pytest.raises(GeldspurError, match="still starting"):
        node.chain()


def test_a_node_of_another_network_is_refused(core):
    core.chain_name = "main"
    assert "on mainnet, not on regtest" in refused(core).what
    core.chain_name = "liquidv1"
    assert "liquidv1" in refused(core).what


def test_a_node_that_lies_about_its_network_is_found_out(core):
    core.chain_name = "main"
    with pytest.raises(GeldspurError, match=r"work|genesis"):
        Node(MAINNET, port=core.port, login=core.cookie).chain()


def test_a_pruned_node_gives_what_it_has(core, node, blocks):
    ref = node.chain().ref(100)
    core.prune_height = 600
    chain = node.chain(known=names(blocks[:700]))
    assert read_block(node, chain.ref(0)) == blocks[700]
    with pytest.raises(GeldspurError, match="pruned: it has blocks from height 600 on"):
        node.chain()
    with pytest.raises(GeldspurError, match="has deleted the block"):
        read_block(node, ref)


def test_an_unknown_block_is_refused(node, blocks):
    ref = node.chain().ref(5)
    other = parse_header(branch(blocks, 200, 1)[0][:80])
    with pytest.raises(GeldspurError, match=r"refuses: .*not found"):
        read_block(node, type(ref)(other, ref.size, 0, 11, "nowhere"))


def test_a_node_that_goes_away_is_said(core, node):
    ref = node.chain().ref(5)
    core.close()
    node._connection = None
    with pytest.raises(GeldspurError, match="can't be reached"):
        read_block(node, ref)


# Where the node is


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("localhost", ("localhost", None)), ("10.0.0.5:8332", ("10.0.0.5", 8332)), ("[::1]", ("::1", None)),
        ("[::1]:18443", ("::1", 18443)), ("node.example", ("node.example", None)),
    ],
)  # fmt: skip
def test_addresses_are_read(text, address):
    assert parse_address(text) == address


@pytest.mark.parametrize("text", ["", ":8332", "a:b", "http://localhost:8332", "me:secret@localhost", "::1", "a:70000"])
def test_what_is_no_address_is_refused(text):
    with pytest.raises(UsageError):
        parse_address(text)


def test_another_host_is_never_asked_unless_named(core, monkeypatch):
    asked = []
    connect = socket.create_connection
    monkeypatch.setattr(
        socket, "create_connection", lambda a, *rest, **more: (asked.append(a), connect(a, *rest, **more))[1]
    )
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://192.0.2.1:3128")
    Node(REGTEST, port=core.port, login=core.cookie).chain()
    assert {host for host, _ in asked} == {"127.0.0.1"}
    assert os.environ["http_proxy"]
