"""Kernels that make the transactions of a block: who spends what, and who is paid."""

import numpy as np
from numba import njit

from geldspur.accuracy.chain.wire.kernels import (
    HUBS,
    below,
    draw,
    has_witness,
    key_of,
    put_count,
    put_random,
    put_script,
    put_script_sig,
    put_spent,
    put_u32,
    put_witness,
    size,
    type_of,
)
from geldspur.accuracy.chain.world import (
    BOOKED,
    END,
    FEES,
    FIRST,
    INPUTS,
    LINKSUM,
    MATURITY,
    OUTPUTS,
    OWNERS,
    PAID_SAT,
    SALT,
    SHARE,
    SIZE,
    SPENT,
    SPENT_SAT,
    TARGET,
    TOGETHER,
    TXS,
    WITNESS_TXS,
)
from geldspur.bitcoin.kernels import merkle_root
from geldspur.bitcoin.message_kernels import OWN, hash_queue, queue_message, queue_stripped
from geldspur.bitcoin.sha256_kernels import ready
from geldspur.bitcoin.words import address_of, copy_bytes, load_u8, load_u64, store_u8, store_u64, window_of
from geldspur.ledger.columns import Array

NO_LINK = np.uint64(0xFFFFFFFFFFFFFFFF)
FULL_WEIGHT = 3_400_000
"""No transaction is begun behind this weight: the largest then still fits under Core's 4,000,000."""
FEW = 64
"""With fewer coins than this, each id is worked out alone, or there would soon be nothing to spend."""

# An output's owner, in 1/10,000: an exchange-like hub, somebody new, one of the payers, else somebody paid before.
TO_HUB = 300
TO_NEWCOMER = 4150
TO_PAYER = 800

_RETURN = 9


@njit(cache=True, nogil=True)
def put_script_of(world, owner, buf):
    """The scriptPubKey of an owner at the start of `buf` (uint8[>= 96]): its length."""
    key = key_of(owner, world.count[SALT])
    return put_script(buf, 0, type_of(owner, key, world.scripts), key)


@njit(cache=True, nogil=True)
def _waiting(pools):
    return pools[SIZE, 0] + pools[SIZE, 1] + pools[SIZE, 2]


@njit(cache=True, nogil=True)
def _keep(random, coins, pools, source, k):
    """Let coin `source[k]` wait for its spender; one that finds no room is never spent."""
    share = below(random, 100)
    pool = 0
    while pool < 2 and share >= pools[SHARE, pool]:
        share -= pools[SHARE, pool]
        pool += 1
    row = pools[FIRST, pool] + pools[SIZE, pool]
    if row >= pools[END, pool]:
        return
    for word in range(8):
        coins[row, word] = source[k, word]
    pools[SIZE, pool] += 1


@njit(cache=True, nogil=True)
def _pick(random, pools):
    """(range, row) of a waiting coin. The fuller a range, the more is taken, which keeps it near its target."""
    a = pools[SHARE, 0] * pools[SIZE, 0] * 1024 // pools[TARGET, 0]
    b = pools[SHARE, 1] * pools[SIZE, 1] * 1024 // pools[TARGET, 1]
    c = pools[SHARE, 2] * pools[SIZE, 2] * 1024 // pools[TARGET, 2]
    at = below(random, a + b + c + 1)
    pool = 0 if at < a else (1 if at < a + b else 2)
    while pools[SIZE, pool] == 0:
        pool = (pool + 1) % 3
    return pool, pools[FIRST, pool] + below(random, pools[SIZE, pool])


@njit(cache=True, nogil=True)
def _pick_rich(random, coins, pools):
    """The richest of some coins: who pays many at once can afford it."""
    pool, row = _pick(random, pools)
    for _ in range(7):
        other_pool, other = _pick(random, pools)
        if coins[other, 5] > coins[row, 5]:
            pool, row = other_pool, other
    return pool, row


@njit(cache=True, nogil=True)
def _payee(random, count, book, inputs, n_in):
    """Who an output is for: few are paid very often, many once."""
    chance = below(random, 10_000)
    if chance < TO_HUB:
        owner = np.int64(0)
        bits = draw(random)
        while owner < HUBS - 1 and bits & np.uint64(1):
            bits >>= np.uint64(1)
            owner += 1
    elif chance < TO_HUB + TO_NEWCOMER or count[BOOKED] == 0:
        owner = count[OWNERS]
        count[OWNERS] += 1
    elif chance < TO_HUB + TO_NEWCOMER + TO_PAYER and n_in > 0:
        owner = np.int64(inputs[below(random, n_in), 0])
    else:
        owner = np.int64(book[below(random, count[BOOKED])])
    if count[BOOKED] < book.size:
        book[count[BOOKED]] = owner
        count[BOOKED] += 1
    elif below(random, 8) == 0:
        book[below(random, book.size)] = owner
    return owner


@njit(cache=True, nogil=True)
def _put_output(count, hubs, types, scripts, buf, at, owner, value):
    """An output that pays an owner, and its part in the truth."""
    key = key_of(owner, count[SALT])
    kind = type_of(owner, key, scripts)
    store_u64(buf, at, np.uint64(value))
    end = put_script(buf, at + 9, kind, key)
    store_u8(buf, at + 8, end - at - 9)
    types[kind] += 1
    count[PAID_SAT] += value
    if owner < HUBS:
        hubs[owner, 0] += 1
        hubs[owner, 1] += value
        hubs[owner, 2] += value
    return end


@njit(cache=True, nogil=True)
def _put_inputs(
    random, count, hubs, scripts, coins, pools, short, body, inputs, links, undo, at, n_in, link, undo_at, rich
):  # fmt: skip
    """Spend `n_in` coins: (offset behind the inputs, behind their undo data, their value, is there a witness)."""
    total, witness = np.int64(0), False
    if undo[1] > 0:
        undo_at = put_count(undo, undo_at, n_in)
    for j in range(n_in):
        pool, row = _pick_rich(random, coins, pools) if rich and j == 0 else _pick(random, pools)
        for word in range(4):
            store_u64(body, at + 8 * word, coins[row, word])
        owner = np.int64(coins[row, 4] >> np.uint64(32))
        vout = np.int64(coins[row, 4] & np.uint64(0xFFFFFFFF))
        value, spent, origin = np.int64(coins[row, 5]), coins[row, 6], np.int64(coins[row, 7])
        last = pools[FIRST, pool] + pools[SIZE, pool] - 1
        for word in range(8):
            coins[row, word] = coins[last, word]
        pools[SIZE, pool] -= 1
        key = key_of(owner, count[SALT])
        kind = type_of(owner, key, scripts)
        inputs[j, 0], inputs[j, 1], inputs[j, 2] = np.uint64(owner), np.uint64(kind), key
        at = put_script_sig(body, put_u32(body, at + 32, vout), kind, key, random, short)
        at = put_u32(body, at, 0xFFFFFFFD + np.int64(key & np.uint64(0xFFFF)) % 3)
        witness = witness or has_witness(kind, key)
        total += value
        if owner < HUBS:
            hubs[owner, 2] -= value
        if undo[1] > 0:
            undo_at = put_spent(undo, undo_at, origin, value, kind, key)
        links[link + j] = spent
        count[LINKSUM] += (np.int64(spent) + 1) * (2 * (count[INPUTS] + j) + 1)
    count[INPUTS] += n_in
    count[SPENT] += n_in
    count[SPENT_SAT] += total
    return at, undo_at, total, witness


@njit(cache=True, nogil=True)
def _share_out(random, count, book, pools, inputs, outputs, total, n_in, wanted):
    """Decide the outputs of a transaction: (their number, its fee).

    The values are random shares of what there is, save those of outputs that nobody will ever spend: these
    hold dust, or the economy would run dry.
    """
    rate = 1 + (below(random, 32) >> below(random, 6))
    fee = min((70 * n_in + 35 * wanted) * rate, total >> 3)
    left = total - fee
    n = max(1, min(wanted, left // 1500))
    waste = min(9000, 3300 * _waiting(pools) // (pools[TARGET, 0] + pools[TARGET, 1] + pools[TARGET, 2]))
    weights = np.int64(0)
    for k in range(n):
        outputs[k, 0] = _payee(random, count, book, inputs, n_in)
        outputs[k, 2] = 1
        if k > 0 and below(random, 10_000) < waste:
            outputs[k, 2] = 0
            outputs[k, 1] = 330 + (below(random, 512) >> below(random, 4))
            left -= outputs[k, 1]
        else:
            u = below(random, 1 << 16)
            outputs[k, 1] = 1024 + ((u * u) >> 16)
            weights += outputs[k, 1]
    floor = min(600, left // n)
    shared, rest = left - n * floor, left
    for k in range(1, n):
        if outputs[k, 2]:
            outputs[k, 1] = floor + shared * outputs[k, 1] // weights
            rest -= outputs[k, 1]
    outputs[0, 1] = rest
    return n, fee


@njit(cache=True, nogil=True)
def _set_coin(coins, k, t, vout, owner, value, row, origin):
    """A coin whose txid is not known yet; that of transaction `t` of the block."""
    coins[k, 0] = np.uint64(t)
    coins[k, 4] = np.uint64(vout) | np.uint64(owner) << np.uint64(32)
    coins[k, 5] = np.uint64(value)
    coins[k, 6] = np.uint64(row)
    coins[k, 7] = np.uint64(origin)


@njit(cache=True, nogil=True)
def _name_coin(coins, k, txids):
    """Put the txid into a coin."""
    t = np.int64(coins[k, 0])
    for word in range(4):
        coins[k, word] = load_u64(txids, 32 * t + 8 * word)


@njit(cache=True, nogil=True)
def _put_op_return(random, types, buf, at):
    length = 20 + below(random, 56)
    store_u64(buf, at, np.uint64(0))
    store_u8(buf, at + 8, length + 2)
    store_u8(buf, at + 9, 0x6A)
    store_u8(buf, at + 10, length)
    types[_RETURN] += 1
    return put_random(buf, at + 11, length, random)


@njit(cache=True, nogil=True)
def _put_coinbase(random, count, hubs, types, scripts, book, inputs, outputs, buf, height, value, n_out):
    """The first transaction of a block, with its outputs in `outputs`; returns its length."""
    at = put_u32(buf, 0, 2)
    store_u8(buf, at, 1)
    for word in range(4):
        store_u64(buf, at + 1 + 8 * word, 0)
    at = put_u32(buf, at + 33, 0xFFFFFFFF)
    # BIP34: the height as a script number. Small ones have opcodes of their own.
    script = at + 1
    end = script + 1
    if height <= 16:
        store_u8(buf, script, 0x50 + height)
    else:
        rest = height
        while rest > 0:
            store_u8(buf, end, rest & 0xFF)
            end += 1
            rest >>= 8
        if load_u8(buf, end - 1) & 0x80:
            store_u8(buf, end, 0)
            end += 1
        store_u8(buf, script, end - script - 1)
    store_u8(buf, end, 8)
    end = put_random(buf, end + 1, 8, random)
    store_u8(buf, at, end - script)
    at = put_count(buf, put_u32(buf, end, 0xFFFFFFFF), n_out)
    for k in range(n_out):
        outputs[k, 0] = _payee(random, count, book, inputs, 0)
        outputs[k, 1] = value // n_out + (value % n_out if k == 0 else 0)
        at = _put_output(count, hubs, types, scripts, buf, at, outputs[k, 0], outputs[k, 1])
    return put_u32(buf, at, 0)


@njit(cache=True, nogil=True)
def make_block(engine, world, draft, height, wanted, subsidy, n_coinbase):
    """Make the coinbase and up to `wanted` transactions more, into `draft`.

    Fewer are made where the block is full, or where fewer coins wait to be spent.
    """
    coins, pools, book, random = world.coins, world.pools, world.book, window_of(world.random)
    count, hubs, types, scripts, short = world.count, world.hubs, world.types, world.scripts, world.short
    inputs, outputs, fresh, links = draft.inputs, draft.outputs, draft.fresh, draft.links
    body, coinbase, undo = window_of(draft.body), window_of(draft.coinbase), window_of(draft.undo)
    txids, scratch, work = window_of(draft.txids), window_of(draft.scratch), window_of(draft.work)
    ready(work)
    slot = height % MATURITY
    young = world.young[slot]
    for k in range(world.young_size[slot]):
        _keep(random, coins, pools, young, k)
    first_row = count[OUTPUTS]
    count[OUTPUTS] += n_coinbase
    count[INPUTS] += 1
    links[0] = NO_LINK
    most = min(wanted, _waiting(pools), draft.txids.shape[0] - 1)
    at, link, fees, weight, t = 0, 1, np.int64(0), np.int64(0), 1
    queued, free, n_fresh, undo_at = 0, OWN, 0, 0
    while t <= most and weight < FULL_WEIGHT:
        begin, n_in = at, max(1, min(size(random, world.in_steps), _waiting(pools) // 8))
        n_wanted = size(random, world.out_steps)
        if n_in >= 8:
            n_wanted = min(n_wanted, 2)
        # The mark of a witness is written in any case, and taken out again where there is none.
        at = put_u32(body, at, 1 + below(random, 2))
        store_u8(body, at, 0)
        store_u8(body, at + 1, 1)
        inner = at + 2
        at, undo_at, total, witness = _put_inputs(
            random, count, hubs, scripts, coins, pools, short, body, inputs, links, undo,
            put_count(body, inner, n_in), n_in, link, undo_at, n_wanted > 3,
        )  # fmt: skip
        n_out, fee = _share_out(random, count, book, pools, inputs, outputs, total, n_in, n_wanted)
        extra = 1 if below(random, 10_000) < world.op_return else 0
        at = put_count(body, at, n_out + extra)
        for k in range(n_out):
            at = _put_output(count, hubs, types, scripts, body, at, outputs[k, 0], outputs[k, 1])
            if outputs[k, 2]:
                _set_coin(fresh, n_fresh, t, k, outputs[k, 0], outputs[k, 1], count[OUTPUTS] + k, 2 * height)
                n_fresh += 1
        if extra:
            at = _put_op_return(random, types, body, at)
        end, stripped = at, at - inner + 8
        locktime = height - 1 if below(random, 4) == 0 else 0
        if witness:
            for j in range(n_in):
                at = put_witness(body, at, np.int64(inputs[j, 1]), inputs[j, 2], random, short)
            at = put_u32(body, at, locktime)
            free = queue_stripped(work, queued, free, body, begin, inner, end, at)
            count[WITNESS_TXS] += 1
        else:
            at = put_u32(body, end, locktime)
            copy_bytes(scratch, 0, body, inner, at - inner)
            copy_bytes(body, inner - 2, scratch, 0, at - inner)
            at -= 2
            free = queue_message(work, queued, free, body, begin, stripped)
        queued += 1
        t += 1
        link += n_in
        fees += fee
        weight += 3 * stripped + at - begin
        count[OUTPUTS] += n_out + extra
        if queued == TOGETHER or _waiting(pools) < FEW or t > most or weight >= FULL_WEIGHT:
            hash_queue(engine, work, queued, address_of(txids, 32 * (t - queued), 32 * queued))
            for k in range(n_fresh):
                _name_coin(fresh, k, txids)
                _keep(random, coins, pools, fresh, k)
            queued, free, n_fresh = 0, OWN, 0
    count[FEES] += fees
    count[TXS] += t
    end = _put_coinbase(
        random, count, hubs, types, scripts, book, inputs, outputs, coinbase, height, subsidy + fees, n_coinbase
    )
    queue_message(work, 0, OWN, coinbase, 0, end)
    hash_queue(engine, work, 1, address_of(txids, 0, 32))
    for k in range(n_coinbase):
        _set_coin(young, k, 0, k, outputs[k, 0], outputs[k, 1], first_row + k, 2 * height + 1)
        _name_coin(young, k, txids)
    world.young_size[slot] = n_coinbase
    sizes = draft.sizes
    sizes[0], sizes[1], sizes[2], sizes[3], sizes[4] = t, link, at, end, undo_at


def root_of(txids: Array, count: int) -> bytes:
    """The Merkle root of the first `count` transaction ids of uint8[T,32]."""
    root = np.empty(32, np.uint8)
    merkle_root(txids, 0, count, root, None)
    return root.tobytes()
