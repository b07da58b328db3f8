"""Kernels that make the transactions of a block: who spends what, written as the wire has it.

Only whole numbers are drawn, so that a seed gives the same chain on every machine. A writer takes a buffer
and an offset and returns the offset behind what it wrote; it may spoil up to 8 bytes further on, which the
next writer writes over, and the buffers have room to spare (`SLACK`).
"""

from typing import Any, NamedTuple

import numpy as np
from numba import njit

from geldspur.accuracy.chain.shapes import HUBS, TO_HUB, TO_NEWCOMER, TO_PAYER
from geldspur.bitcoin.sha256 import double_sha256
from geldspur.bitcoin.words import copy_bytes, load_u64, store_u64

MATURITY = 100
MOST_INPUTS = 512
MOST_OUTPUTS = 512
FULL_WEIGHT = 3_400_000
"""No transaction is begun behind this weight: the largest then still fits under Core's 4,000,000."""
BODY = 4 << 20
SLACK = 4096
NO_LINK = np.uint64(0xFFFFFFFFFFFFFFFF)

# Rows of `World.count`.
OWNERS, TXS, INPUTS, OUTPUTS, BOOKED, FEES, SPENT, SPENT_SAT, PAID_SAT, SALT, WITNESS_TXS, LINKSUM = range(12)
COUNTS = 12

_P2PK, _P2PKH, _P2SH, _P2WPKH, _P2WSH, _P2TR, _MULTISIG, _RETURN = 1, 2, 3, 4, 5, 6, 7, 9
_HUB_TYPES = np.array([_P2PKH, _P2SH, _P2WPKH, _P2TR, _P2PKH, _P2SH, _P2WPKH, _P2WSH], np.int64)
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


class World(NamedTuple):
    """Everything that lasts from block to block.

    A coin is 8 words: 4 of txid, vout and owner (high half), value, output row, height * 2 + is coinbase.
    """

    coins: Any
    """uint64[C,8]: unspent outputs that will be spent, in one range of rows a waiting time."""
    first: Any
    """int64[4]: where each range begins; the last is C."""
    size: Any
    """int64[3]: how many coins wait in each range."""
    target: Any
    """int64[3]: how many should."""
    weight: Any
    """int64[3]: share of the outputs that go to each range."""
    young: Any
    """uint64[MATURITY,K,8]: coins of the last coinbases, which can't be spent yet."""
    young_size: Any
    """int64[MATURITY]."""
    book: Any
    """uint32[B]: owners of a sample of outputs; who is drawn from it is paid again."""
    random: Any
    """uint64[1]: the generator's state."""
    count: Any
    """int64[COUNTS]."""
    hubs: Any
    """int64[HUBS,3]: outputs, received, balance of the first owners."""
    types: Any
    """int64[10]: outputs by script type."""
    in_steps: Any
    out_steps: Any
    script_steps: Any
    op_return: int
    short: bool


class Draft(NamedTuple):
    """A block in the making: all but its header."""

    body: Any
    """uint8[BODY + SLACK]: the transactions behind the coinbase."""
    coinbase: Any
    """uint8[...]: the first transaction."""
    txids: Any
    """uint8[T,32]."""
    links: Any
    """uint64[I]: output row that each input of the block spends."""
    scratch: Any
    """uint8[...]: what is hashed."""
    inputs: Any
    """uint64[MOST_INPUTS,4]: owner, value, script key of each input of a transaction."""
    outputs: Any
    """int64[MOST_OUTPUTS,3]: owner, value, does it wait to be spent."""
    sizes: Any
    """int64[4]: transactions, inputs, bytes of the body, bytes of the coinbase."""


@njit(cache=True, nogil=True)
def _mix(z):
    """The finishing step of splitmix64: every bit of the result depends on every bit of `z`."""
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@njit(cache=True, nogil=True)
def _draw(random):
    """The next 64 random bits (splitmix64; Steele, Lea, Flood 2014)."""
    random[0] += _GOLDEN
    return _mix(random[0])


@njit(cache=True, nogil=True)
def _below(random, n):
    """A random number below n, which is less than 2**31."""
    return np.int64(((_draw(random) >> np.uint64(32)) * np.uint64(n)) >> np.uint64(32))


@njit(cache=True, nogil=True)
def _size(random, steps):
    """A size drawn from steps of (chance up to here, low, high)."""
    chance = _below(random, 10_000)
    row = 0
    while row < len(steps) - 1 and chance >= steps[row, 0]:
        row += 1
    low, high = steps[row, 1], steps[row, 2]
    octaves = 1
    while low << octaves <= high:
        octaves += 1
    low <<= _below(random, octaves)
    return min(low + _below(random, low), high) if high > steps[row, 1] else low


# Scripts. An owner's key is 64 bits, from which its type, hashes and public keys follow.


@njit(cache=True, nogil=True)
def key_of(owner, salt):
    """The 64 bits that an owner's scripts are made from."""
    return _mix(np.uint64(salt) + (np.uint64(owner) + np.uint64(1)) * _GOLDEN)


@njit(cache=True, nogil=True)
def type_of(owner, key, script_steps):
    """The script type of an owner."""
    if owner < HUBS:
        return _HUB_TYPES[owner]
    chance = np.int64(key >> np.uint64(40)) % 10_000
    row = 0
    while row < len(script_steps) - 1 and chance >= script_steps[row, 0]:
        row += 1
    return script_steps[row, 1]


@njit(cache=True, nogil=True)
def _put_known(buf, at, key, part, count):
    """`count` bytes that follow from a key."""
    for k in range((count + 7) // 8):
        store_u64(buf, at + 8 * k, _mix(key + np.uint64(8 * part + k + 1) * _GOLDEN))
    return at + count


@njit(cache=True, nogil=True)
def _put_random(buf, at, count, random):
    for k in range((count + 7) // 8):
        store_u64(buf, at + 8 * k, _draw(random))
    return at + count


@njit(cache=True, nogil=True)
def _put_key(buf, at, key, part):
    """The push of a public key, compressed."""
    buf[at] = 33
    _put_known(buf, at + 2, key, part, 32)
    buf[at + 1] = 2 + (buf[at + 33] & 1)
    return at + 34


@njit(cache=True, nogil=True)
def _put_keys(buf, at, key, needed, total):
    """needed-of-total keys, OP_CHECKMULTISIG."""
    buf[at] = 0x50 + needed
    at += 1
    for k in range(total):
        at = _put_key(buf, at, key, k + 1)
    buf[at] = 0x50 + total
    buf[at + 1] = 0xAE
    return at + 2


@njit(cache=True, nogil=True)
def put_script(buf, at, kind, key):
    """The scriptPubKey of an owner, without its length."""
    if kind == _P2PKH:
        buf[at], buf[at + 1], buf[at + 2] = 0x76, 0xA9, 20
        at = _put_known(buf, at + 3, key, 0, 20)
        buf[at], buf[at + 1] = 0x88, 0xAC
        return at + 2
    if kind == _P2SH:
        buf[at], buf[at + 1] = 0xA9, 20
        at = _put_known(buf, at + 2, key, 0, 20)
        buf[at] = 0x87
        return at + 1
    if kind == _P2WPKH:
        buf[at], buf[at + 1] = 0, 20
        return _put_known(buf, at + 2, key, 0, 20)
    if kind == _P2WSH or kind == _P2TR:
        buf[at], buf[at + 1] = 0x51 if kind == _P2TR else 0, 32
        return _put_known(buf, at + 2, key, 0, 32)
    if kind == _MULTISIG:
        return _put_keys(buf, at, key, 1, 2)
    at = _put_key(buf, at, key, 1)
    buf[at] = 0xAC
    return at + 1


@njit(cache=True, nogil=True)
def put_script_of(world, owner, buf):
    """The scriptPubKey of an owner at the start of `buf` (uint8[>= 96]): its length."""
    key = key_of(owner, world.count[SALT])
    return put_script(buf, 0, type_of(owner, key, world.script_steps), key)


@njit(cache=True, nogil=True)
def _put_signature(buf, at, random, short):
    """The push of an ECDSA signature in DER, for SIGHASH_ALL; s is low, r high every second time."""
    r = 32
    if short:
        r = 1
    bits = _draw(random)
    high = 0 if short else np.int64(bits & np.uint64(1))
    start = at + 1
    buf[start] = 0x30
    buf[start + 1] = 2 * r + 4 + high
    buf[start + 2] = 2
    buf[start + 3] = r + high
    buf[start + 4] = 0
    at = _put_random(buf, start + 4 + high, r, random)
    top = start + 4 + high
    buf[top] = buf[top] | 0x80 if high else (buf[top] & 0x7F) | 1
    buf[at], buf[at + 1] = 2, r
    top = at + 2
    at = _put_random(buf, top, r, random)
    buf[top] = (buf[top] & 0x7F) | 1
    buf[at] = 1
    at += 1
    buf[start - 1] = at - start
    return at


@njit(cache=True, nogil=True)
def _is_nested(kind, key):
    """Does a P2SH owner hold a P2WPKH in it (seven of ten), or a 2-of-2?"""
    return kind == _P2SH and np.int64(key >> np.uint64(33)) % 10 < 7


@njit(cache=True, nogil=True)
def _has_witness(kind, key):
    return kind == _P2WPKH or kind == _P2WSH or kind == _P2TR or _is_nested(kind, key)


@njit(cache=True, nogil=True)
def _put_script_sig(buf, at, kind, key, random, short):
    """What an input shows in its scriptSig, with its length, which is below 253."""
    length_at = at
    at += 1
    if _is_nested(kind, key):
        buf[at], buf[at + 1], buf[at + 2] = 22, 0, 20
        at = _put_known(buf, at + 3, key, 4, 20)
    elif kind == _P2SH:
        buf[at] = 0
        at = _put_signature(buf, at + 1, random, short)
        at = _put_signature(buf, at, random, short)
        buf[at], buf[at + 1] = 76, 71
        at = _put_keys(buf, at + 2, key, 2, 2)
    elif kind == _MULTISIG:
        buf[at] = 0
        at = _put_signature(buf, at + 1, random, short)
    elif kind == _P2PK:
        at = _put_signature(buf, at, random, short)
    elif kind == _P2PKH:
        at = _put_signature(buf, at, random, short)
        at = _put_key(buf, at, key, 1)
    buf[length_at] = at - length_at - 1
    return at


@njit(cache=True, nogil=True)
def _put_witness(buf, at, kind, key, random, short):
    """The witness of one input."""
    if kind == _P2TR:
        buf[at], buf[at + 1] = 1, 64
        return _put_random(buf, at + 2, 64, random)
    if kind == _P2WSH:
        buf[at], buf[at + 1] = 4, 0
        at = _put_signature(buf, at + 2, random, short)
        at = _put_signature(buf, at, random, short)
        buf[at] = 105
        return _put_keys(buf, at + 1, key, 2, 3)
    if not _has_witness(kind, key):
        buf[at] = 0
        return at + 1
    buf[at] = 1 if short else 2
    at = _put_signature(buf, at + 1, random, short)
    return at if short else _put_key(buf, at, key, 1)


@njit(cache=True, nogil=True)
def _put_count(buf, at, n):
    """A CompactSize of at most 16 bits."""
    if n < 253:
        buf[at] = n
        return at + 1
    buf[at], buf[at + 1], buf[at + 2] = 253, n & 0xFF, n >> 8
    return at + 3


@njit(cache=True, nogil=True)
def _put_u32(buf, at, value):
    for k in range(4):
        buf[at + k] = (value >> (8 * k)) & 0xFF
    return at + 4


# The economy


@njit(cache=True, nogil=True)
def _keep(world, coin):
    """Let a coin wait for its spender; one that finds no room is never spent."""
    share = _below(world.random, 100)
    pool = 0
    while pool < 2 and share >= world.weight[pool]:
        share -= world.weight[pool]
        pool += 1
    row = world.first[pool] + world.size[pool]
    if row >= world.first[pool + 1]:
        return
    world.coins[row] = coin
    world.size[pool] += 1


@njit(cache=True, nogil=True)
def _pick(world):
    """The row of a waiting coin. The fuller a range, the more is taken from it, which keeps it near its target."""
    a = world.weight[0] * world.size[0] * 1024 // world.target[0]
    b = world.weight[1] * world.size[1] * 1024 // world.target[1]
    c = world.weight[2] * world.size[2] * 1024 // world.target[2]
    at = _below(world.random, a + b + c + 1)
    pool = 0 if at < a else (1 if at < a + b else 2)
    while world.size[pool] == 0:
        pool = (pool + 1) % 3
    return pool, world.first[pool] + _below(world.random, world.size[pool])


@njit(cache=True, nogil=True)
def _payee(world, draft, n_in):
    """Who an output is for: few are paid very often, many once."""
    count, random = world.count, world.random
    chance = _below(random, 10_000)
    if chance < TO_HUB:
        owner = np.int64(0)
        bits = _draw(random)
        while owner < HUBS - 1 and bits & np.uint64(1):
            bits >>= np.uint64(1)
            owner += 1
    elif chance < TO_HUB + TO_NEWCOMER or count[BOOKED] == 0:
        owner = count[OWNERS]
        count[OWNERS] += 1
    elif chance < TO_HUB + TO_NEWCOMER + TO_PAYER and n_in > 0:
        owner = np.int64(draft.inputs[_below(random, n_in), 0])
    else:
        owner = np.int64(world.book[_below(random, count[BOOKED])])
    if count[BOOKED] < len(world.book):
        world.book[count[BOOKED]] = owner
        count[BOOKED] += 1
    elif _below(random, 8) == 0:
        world.book[_below(random, len(world.book))] = owner
    return owner


@njit(cache=True, nogil=True)
def _put_output(world, buf, at, owner, value):
    """An output that pays an owner, and its part in the truth."""
    key = key_of(owner, world.count[SALT])
    kind = type_of(owner, key, world.script_steps)
    store_u64(buf, at, np.uint64(value))
    end = put_script(buf, at + 9, kind, key)
    buf[at + 8] = end - at - 9
    world.types[kind] += 1
    world.count[PAID_SAT] += value
    if owner < HUBS:
        world.hubs[owner, 0] += 1
        world.hubs[owner, 1] += value
        world.hubs[owner, 2] += value
    return end


@njit(cache=True, nogil=True)
def _take_inputs(world, draft, at, wanted, link):
    """Spend `wanted` coins: (offset behind the inputs, their value, is there a witness)."""
    body, inputs, total, witness = draft.body, draft.inputs, np.int64(0), False
    count = world.count
    for j in range(wanted):
        pool, row = _pick(world)
        coin = world.coins[row]
        for k in range(4):
            store_u64(body, at + 8 * k, coin[k])
        owner = np.int64(coin[4] >> np.uint64(32))
        value = np.int64(coin[5])
        key = key_of(owner, count[SALT])
        kind = type_of(owner, key, world.script_steps)
        inputs[j, 0], inputs[j, 1], inputs[j, 2] = np.uint64(owner), np.uint64(kind), key
        at = _put_u32(body, at + 32, np.int64(coin[4] & np.uint64(0xFFFFFFFF)))
        at = _put_script_sig(body, at, kind, key, world.random, world.short)
        at = _put_u32(body, at, 0xFFFFFFFF - (0, 0, 1, 2)[np.int64(key & np.uint64(3))])
        witness = witness or _has_witness(kind, key)
        total += value
        if owner < HUBS:
            world.hubs[owner, 2] -= value
        draft.links[link + j] = coin[6]
        count[LINKSUM] += (np.int64(coin[6]) + 1) * (2 * (count[INPUTS] + j) + 1)
        last = world.first[pool] + world.size[pool] - 1
        world.coins[row] = world.coins[last]
        world.size[pool] -= 1
    count[INPUTS] += wanted
    count[SPENT] += wanted
    count[SPENT_SAT] += total
    return at, total, witness


@njit(cache=True, nogil=True)
def _share_out(world, draft, total, n_in, wanted):
    """Decide the outputs of a transaction: (their number, its fee).

    The values are random shares of what there is, save those of outputs that nobody will ever spend: these
    hold dust, or the economy would run dry.
    """
    random, outputs = world.random, draft.outputs
    rate = 1 + (_below(random, 64) >> _below(random, 6))
    fee = min((70 * n_in + 35 * wanted) * rate, total >> 3)
    left = total - fee
    n = max(1, min(wanted, left // 2500))
    waiting = world.size[0] + world.size[1] + world.size[2]
    waste = min(9000, 3300 * waiting // (world.target[0] + world.target[1] + world.target[2]))
    weights = np.int64(0)
    for k in range(n):
        outputs[k, 0] = _payee(world, draft, n_in)
        outputs[k, 2] = 1
        if k > 0 and _below(random, 10_000) < waste:
            outputs[k, 2] = 0
            outputs[k, 1] = 330 + (_below(random, 1024) >> _below(random, 4))
            left -= outputs[k, 1]
        else:
            u = _below(random, 1 << 16)
            u = (u * u) >> 16
            outputs[k, 1] = 256 + ((u * u) >> 16)
            weights += outputs[k, 1]
    floor = min(1000, left // n)
    shared, rest = left - n * floor, left
    for k in range(1, n):
        if outputs[k, 2]:
            outputs[k, 1] = floor + shared * outputs[k, 1] // weights
            rest -= outputs[k, 1]
    outputs[0, 1] = rest
    return n, fee


@njit(cache=True, nogil=True)
def _hash(draft, length, t):
    # The hash's own scratch is small and short-lived; the arrays' cost is a tenth of the hash's.
    double_sha256(
        draft.scratch, length, draft.txids[t],
        np.empty(8, np.uint32), np.empty(64, np.uint32), np.empty(192, np.uint8),
    )  # fmt: skip


@njit(cache=True, nogil=True)
def _set_coin(coin, draft, t, vout, owner, value, row, origin):
    for k in range(4):
        coin[k] = load_u64(draft.txids, 32 * t + 8 * k)
    coin[4] = np.uint64(vout) | np.uint64(owner) << np.uint64(32)
    coin[5] = np.uint64(value)
    coin[6] = np.uint64(row)
    coin[7] = np.uint64(origin)


@njit(cache=True, nogil=True)
def _put_transaction(world, draft, at, t, link, height, coin):
    """One transaction into the body: (offset behind it, number of inputs, fee, weight)."""
    body, count, random = draft.body, world.count, world.random
    begin = at
    waiting = world.size[0] + world.size[1] + world.size[2]
    n_in = max(1, min(_size(random, world.in_steps), waiting // 8))
    # The marker of a witness is written in any case, and left out of what is hashed or taken back.
    at = _put_u32(body, at, 1 + _below(random, 2))
    body[at], body[at + 1] = 0, 1
    inner = at + 2
    at = _put_count(body, inner, n_in)
    at, total, witness = _take_inputs(world, draft, at, n_in, link)
    wanted = _size(random, world.out_steps)
    if n_in >= 8:
        wanted = min(wanted, 2)
    n_out, fee = _share_out(world, draft, total, n_in, wanted)
    extra = 1 if _below(random, 10_000) < world.op_return else 0
    at = _put_count(body, at, n_out + extra)
    for k in range(n_out):
        at = _put_output(world, body, at, draft.outputs[k, 0], draft.outputs[k, 1])
    if extra:
        length = 20 + _below(random, 56)
        store_u64(body, at, np.uint64(0))
        body[at + 8], body[at + 9], body[at + 10] = length + 2, 0x6A, length
        at = _put_random(body, at + 11, length, random)
        world.types[_RETURN] += 1
    end = at
    locktime = height - 1 if _below(random, 4) == 0 else 0
    stripped = end - inner + 8
    copy_bytes(draft.scratch, 0, body, begin, 4)
    copy_bytes(draft.scratch, 4, body, inner, end - inner)
    _put_u32(draft.scratch, stripped - 4, locktime)
    if witness:
        for j in range(n_in):
            at = _put_witness(
                body, at, np.int64(draft.inputs[j, 1]), draft.inputs[j, 2], random, world.short
            )
        at = _put_u32(body, at, locktime)
        count[WITNESS_TXS] += 1
    else:
        copy_bytes(body, begin, draft.scratch, 0, stripped)
        at = begin + stripped
    _hash(draft, stripped, t)
    for k in range(n_out):
        if draft.outputs[k, 2]:
            _set_coin(
                coin, draft, t, k, draft.outputs[k, 0], draft.outputs[k, 1], count[OUTPUTS] + k, 2 * height
            )
            _keep(world, coin)
    count[OUTPUTS] += n_out + extra
    count[TXS] += 1
    return at, n_in, fee, 3 * stripped + at - begin


@njit(cache=True, nogil=True)
def _put_coinbase(world, draft, height, value, n_out, row, coin):
    """The first transaction of a block, whose outputs have the rows from `row` on."""
    buf, random = draft.coinbase, world.random
    at = _put_u32(buf, 0, 2)
    buf[at] = 1
    for k in range(32):
        buf[at + 1 + k] = 0
    at = _put_u32(buf, at + 33, 0xFFFFFFFF)
    # BIP34: the height, as a script number. Small ones have opcodes of their own, and a byte more is needed then.
    script = at + 1
    if height <= 16:
        buf[script] = 0x50 + height
        end = script + 1
    else:
        length = 1
        while height >> (8 * length - 1):
            length += 1
        buf[script] = length
        for k in range(length):
            buf[script + 1 + k] = (height >> (8 * k)) & 0xFF
        end = script + 1 + length
    buf[end] = 8
    end = _put_random(buf, end + 1, 8, random)
    buf[at] = end - script
    at = _put_u32(buf, end, 0xFFFFFFFF)
    at = _put_count(buf, at, n_out)
    for k in range(n_out):
        draft.outputs[k, 0] = _payee(world, draft, 0)
        draft.outputs[k, 1] = value // n_out + (value % n_out if k == 0 else 0)
        at = _put_output(world, buf, at, draft.outputs[k, 0], draft.outputs[k, 1])
    at = _put_u32(buf, at, 0)
    copy_bytes(draft.scratch, 0, buf, 0, at)
    _hash(draft, at, 0)
    slot = height % MATURITY
    for k in range(n_out):
        _set_coin(
            coin, draft, 0, k, draft.outputs[k, 0], draft.outputs[k, 1], row + k, 2 * height + 1
        )
        world.young[slot, k] = coin
    world.young_size[slot] = n_out
    return at


@njit(cache=True, nogil=True)
def make_block(world, draft, height, wanted, subsidy, n_coinbase):
    """Make the coinbase and up to `wanted` transactions more, into `draft`.

    Fewer are made where the block is full, or where fewer coins wait to be spent.
    """
    coin = np.empty(8, np.uint64)
    slot = height % MATURITY
    for k in range(world.young_size[slot]):
        _keep(world, world.young[slot, k])
    count = world.count
    first_row = count[OUTPUTS]
    count[OUTPUTS] += n_coinbase
    count[INPUTS] += 1
    count[TXS] += 1
    draft.links[0] = NO_LINK
    waiting = world.size[0] + world.size[1] + world.size[2]
    most = min(wanted, waiting, len(draft.txids) - 1)
    at, link, fees, weight, t = 0, 1, np.int64(0), np.int64(0), 1
    while t <= most and weight < FULL_WEIGHT:
        at, n_in, fee, more = _put_transaction(world, draft, at, t, link, height, coin)
        link += n_in
        fees += fee
        weight += more
        t += 1
    count[FEES] += fees
    end = _put_coinbase(world, draft, height, subsidy + fees, n_coinbase, first_row, coin)
    draft.sizes[0], draft.sizes[1], draft.sizes[2], draft.sizes[3] = t, link, at, end
