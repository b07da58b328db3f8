"""Kernels of the examination. None of them trusts what a column says: every row number is compared with its limit.

Faults go into `faults` int64[K,3], (code, row, value) each, as far as there is room; how many there were is returned.
Row numbers are compared as uint64, since a sentinel of eight bytes is a negative int64.
"""

import numpy as np
from numba import njit

from geldspur.bitcoin.merkle_kernels import ROOTS, roots_of
from geldspur.bitcoin.script_kernels import classify
from geldspur.bitcoin.words import prefetch, same_bytes, window_of
from geldspur.ledger.kernels import link_hash

_AHEAD = 24
_BTC = 100_000_000
MAX_MONEY = 21_000_000 * _BTC
NO_SCRIPT = 0xFFFFFFFF
_OP_RETURN = 9

WRONG_ROOT, TWIN = 1, 2
SPENDS_LATER, COINBASE_MISPLACED, NO_COINBASE, SPENDS_NOTHING = 1, 2, 3, 4
DOUBLE_SPEND = 1
BAD_VALUE, SPENDS_MORE, CLAIMS_MORE, SUM_TOO_LARGE = 1, 2, 3, 4
SKIPS_SCRIPT, BLOCK_SCRIPTS = 1, 2
NO_SUCH_TYPE, WRONG_LENGTH, OTHER_TYPE = 1, 2, 3
SCRIPT_OR_NONE, SCRIPT_TYPE, SCRIPT_LENGTH, SCRIPT_BYTES = 1, 2, 3, 4


@njit(cache=True, nogil=True)
def _fault(faults, count, code, row, value):
    if count < faults.shape[0]:
        faults[count, 0], faults[count, 1], faults[count, 2] = code, row, value
    return count + 1


@njit(cache=True, nogil=True)
def check_roots(engine, txid, block_tx, headers, work, faults):
    """Merkle roots of blocks against their headers; faults (WRONG_ROOT or TWIN, block, 0).

    `txid` uint8[T,32]; `block_tx` int64[B+1], ascending from 0 to T; `headers` uint8[B,80]; `work` as `work_bytes`.
    """
    blocks = headers.shape[0]
    twin = roots_of(engine, window_of(txid), block_tx, blocks, window_of(work))
    count = 0
    if twin < blocks:
        count = _fault(faults, count, TWIN, twin, 0)
    heads = window_of(headers)
    for b in range(blocks):
        if not same_bytes(heads, 80 * b + 36, window_of(work), ROOTS + 32 * b, 32):
            count = _fault(faults, count, WRONG_ROOT, b, 0)
    return count


@njit(cache=True, nogil=True)
def check_prevouts(block_tx, first_block, end_block, tx_in, tx_out, in_prevout, n_outputs, free, faults):
    """Does every input spend what lies before its transaction, and is each block's first one, and no other, a coinbase?

    The offsets are sound. `free` uint64 is what a coinbase's input holds. Faults (code, input row, its element).
    """
    count = 0
    limit = np.uint64(n_outputs)
    for b in range(first_block, end_block):
        start = np.int64(block_tx[b])
        for t in range(start, np.int64(block_tx[b + 1])):
            first, end = np.int64(tx_in[t]), np.int64(tx_in[t + 1])
            own = np.uint64(tx_out[t])
            if t == start and (end - first != 1 or np.uint64(in_prevout[first]) < limit):
                count = _fault(faults, count, NO_COINBASE, first, np.int64(in_prevout[first]))
                continue
            for i in range(first, end):
                row = np.uint64(in_prevout[i])
                if row >= limit:
                    if row != free:
                        count = _fault(faults, count, SPENDS_NOTHING, i, np.int64(row))
                    elif t != start:
                        count = _fault(faults, count, COINBASE_MISPLACED, i, np.int64(row))
                elif row >= own:
                    count = _fault(faults, count, SPENDS_LATER, i, np.int64(row))
    return count


@njit(cache=True, nogil=True)
def spend(prevout, first_input, low, high, spender, free, faults):
    """Enter inputs `first_input ..` as spenders of outputs `low..high`.

    Faults (DOUBLE_SPEND, input row, output row).
    """
    n = prevout.size
    start, span = np.uint64(low), np.uint64(high - low)
    count = 0
    for i in range(n):
        ahead = np.uint64(prevout[min(i + _AHEAD, n - 1)]) - start
        if ahead < span:
            prefetch(spender, np.int64(ahead))
        at = np.uint64(prevout[i]) - start
        if at < span:
            if np.uint64(spender[at]) != np.uint64(free):
                count = _fault(faults, count, DOUBLE_SPEND, first_input + i, np.int64(prevout[i]))
            else:
                spender[at] = first_input + i
    return count


@njit(cache=True, nogil=True)
def sum_links(prevout, first_input, n_outputs, k0, k1, found):
    """Add the links of inputs `first_input ..` to `found` uint64[2]: the sum of their hashes, and their number."""
    limit = np.uint64(n_outputs)
    for i in range(prevout.size):
        row = np.uint64(prevout[i])
        if row < limit:
            found[0] += link_hash(k0, k1, row, np.uint64(first_input + i))
            found[1] += np.uint64(1)


@njit(cache=True, nogil=True)
def sum_spenders(spender, first_output, n_inputs, free, lost, k0, k1, found):
    """The same of outputs `first_output ..`, to `found` uint64[4]: sum, links, outputs that are gone, other values."""
    limit = np.uint64(n_inputs)
    for o in range(spender.size):
        row = np.uint64(spender[o])
        if row < limit:
            found[0] += link_hash(k0, k1, np.uint64(first_output + o), row)
            found[1] += np.uint64(1)
        elif row == lost:
            found[2] += np.uint64(1)
        elif row != free:
            found[3] += np.uint64(1)


@njit(cache=True, nogil=True)
def check_money(
    block_tx, first_block, end_block, tx_in, tx_out, in_prevout, out_value, n_outputs, subsidy, claims, known, faults
):  # fmt: skip
    """Fees and coinbases of blocks. The offsets are sound; `subsidy` int64[B] is what each block may make anew.

    `claims` int64[B]: what each coinbase takes beyond its block's fees; `known` bool[B]: False where a fault leaves
    that open. Faults (code, row of an output, transaction or block, value). No sum exceeds MAX_MONEY by more than one
    value, so that none overflows.
    """
    count = 0
    limit = np.uint64(n_outputs)
    n_inputs = in_prevout.size
    for b in range(first_block, end_block):
        fees, coinbase, fine = np.int64(0), np.int64(0), True
        start = np.int64(block_tx[b])
        for t in range(start, np.int64(block_tx[b + 1])):
            paid, right = np.int64(0), True
            for o in range(np.int64(tx_out[t]), np.int64(tx_out[t + 1])):
                value = out_value[o]
                if value < 0 or value > MAX_MONEY:
                    count = _fault(faults, count, BAD_VALUE, o, value)
                    right = False
                elif right:
                    paid += value
                    if paid > MAX_MONEY:
                        count = _fault(faults, count, SUM_TOO_LARGE, t, paid)
                        right = False
            if t == start:
                coinbase, fine = paid, right
                continue
            spent = np.int64(0)
            for i in range(np.int64(tx_in[t]), np.int64(tx_in[t + 1])):
                ahead = np.uint64(in_prevout[min(i + _AHEAD, n_inputs - 1)])
                if ahead < limit:
                    prefetch(out_value, np.int64(ahead))
                row = np.uint64(in_prevout[i])
                value = out_value[np.int64(row)] if row < limit else np.int64(-1)
                if value < 0 or value > MAX_MONEY:
                    right = False  # told where the output, or the link, is looked at
                elif right:
                    spent += value
                    if spent > MAX_MONEY:
                        count = _fault(faults, count, SUM_TOO_LARGE, t, spent)
                        right = False
            if right and spent < paid:
                count = _fault(faults, count, SPENDS_MORE, t, paid - spent)
                right = False
            fine = fine and right
            if fine:
                fees += spent - paid
                if fees > MAX_MONEY:
                    count = _fault(faults, count, SUM_TOO_LARGE, t, fees)
                    fine = False
        claims[b - first_block], known[b - first_block] = coinbase - fees, fine
        if fine and coinbase - fees > subsidy[b - first_block]:
            count = _fault(faults, count, CLAIMS_MORE, b, coinbase - fees - subsidy[b - first_block])
    return count


@njit(cache=True, nogil=True)
def sum_unspent(out_value, out_spender, out_script, n_inputs, lost, btc, sat):
    """Add the values of outputs that nobody spent to `btc` and `sat` int64[3]: spendable, gone, unspendable.

    Whole coins and the rest apart, so that no sum overflows. Values out of range are left out.
    """
    for o in range(out_value.size):
        spender, value = np.uint64(out_spender[o]), out_value[o]
        if spender >= np.uint64(n_inputs) and 0 <= value <= MAX_MONEY:
            kind = 0
            if out_script[o] == NO_SCRIPT:
                kind = 2
            elif spender == np.uint64(lost):
                kind = 1
            btc[kind] += value // _BTC
            sat[kind] += value % _BTC


@njit(cache=True, nogil=True)
def check_appearance(out_script, first_output, seen, faults):
    """Are script ids those of first appearance? `seen` ids were before; returns (seen, faults found).

    Faults (SKIPS_SCRIPT, output row, script).
    """
    count = 0
    for o in range(out_script.size):
        s = np.int64(out_script[o])
        if s == seen:
            seen += 1
        elif s > seen and s != NO_SCRIPT:
            count = _fault(faults, count, SKIPS_SCRIPT, first_output + o, s)
    return seen, count


@njit(cache=True, nogil=True)
def count_appearance(block_tx, first_block, end_block, tx_out, out_script, seen, block_script, faults):
    """Scripts that the blocks' outputs show first, against `block_script`; faults (BLOCK_SCRIPTS, block, scripts).

    The offsets are sound; `seen` scripts were before the first block. Returns (seen, faults found).
    """
    count = 0
    for b in range(first_block, end_block):
        for o in range(np.int64(tx_out[block_tx[b]]), np.int64(tx_out[block_tx[b + 1]])):
            if np.int64(out_script[o]) == seen:
                seen += 1
        if np.int64(block_script[b + 1]) != seen:
            count = _fault(faults, count, BLOCK_SCRIPTS, b, seen)
    return seen, count


@njit(cache=True, nogil=True)
def check_forms(script_type, script_at, payload, first, end, faults):
    """Does each script's payload fit its type? The offsets are sound. Faults (code, script, length or type)."""
    count = 0
    data = window_of(payload)
    for s in range(first, end):
        kind, at = np.int64(script_type[s]), np.int64(script_at[s])
        length = np.int64(script_at[s + 1]) - at
        if kind > 8:
            count = _fault(faults, count, NO_SUCH_TYPE, s, kind)
        elif 2 <= kind <= 6:
            if length != (32 if kind >= 5 else 20):
                count = _fault(faults, count, WRONG_LENGTH, s, length)
        else:
            found = np.int64(classify(data, at, at + length)[0])
            if found != kind:
                count = _fault(faults, count, OTHER_TYPE, s, found)
    return count


@njit(cache=True, nogil=True)
def check_paid(
    out_type, out_at, out_length, out_payload, n_outputs, out_script, script_type, script_at, payload, faults
):  # fmt: skip
    """Is the script that each decoded output was given of its type, with its bytes? Faults (code, output, script).

    The outputs are as in `Batch`, `out_script` is theirs; the offsets are sound. OP_RETURN is paid by no script.
    """
    count, n_scripts = 0, script_type.size
    n_outputs = min(n_outputs, out_script.size)
    data, known = window_of(out_payload), window_of(payload)
    for o in range(-_AHEAD, n_outputs):
        ahead = o + 2 * _AHEAD
        if ahead < n_outputs:
            prefetch(script_type, np.int64(out_script[ahead]))
            prefetch(script_at, np.int64(out_script[ahead]))
        ahead = o + _AHEAD
        if ahead < n_outputs and np.int64(out_script[ahead]) < n_scripts:
            prefetch(known, np.int64(script_at[out_script[ahead]]))
        if o < 0:
            continue
        s = np.int64(out_script[o])
        if (s >= n_scripts) != (out_type[o] == _OP_RETURN):
            count = _fault(faults, count, SCRIPT_OR_NONE, o, s)
        elif s >= n_scripts:
            if s != NO_SCRIPT:
                count = _fault(faults, count, SCRIPT_OR_NONE, o, s)
        elif script_type[s] != out_type[o]:
            count = _fault(faults, count, SCRIPT_TYPE, o, s)
        else:
            at, length = np.int64(script_at[s]), np.int64(out_length[o])
            if np.int64(script_at[s + 1]) - at != length:
                count = _fault(faults, count, SCRIPT_LENGTH, o, s)
            elif not same_bytes(known, at, data, np.int64(out_at[o]), length):
                count = _fault(faults, count, SCRIPT_BYTES, o, s)
    return count


# Look-ups. `order` and `tag` of an index, or `outputs` of a grouping, beside what they should be.


@njit(cache=True, nogil=True)
def first_live_difference(
    start, base, items, marks, wanted_start, wanted_base, wanted, wanted_marks, low, high, dead_from
):  # fmt: skip
    """In a run whose last rows were rolled back: the first group of `low..high` that is not what it should be.

    Group g is items `start[g] .. start[g + 1]`, which lie in `items` and `marks` from place `base` on, and has to be
    `wanted_start[g - low] .. wanted_start[g - low + 1]` of `wanted`, from `wanted_base` on, among items from
    `dead_from` on that don't count. Marks ascend within a group. `start` ascends within `items`. Returns high where
    all groups are right.
    """
    for g in range(low, high):
        at, end = np.int64(wanted_start[g - low]) - wanted_base, np.int64(wanted_start[g - low + 1]) - wanted_base
        first = np.int64(start[g]) - base
        for k in range(first, np.int64(start[g + 1]) - base):
            if k > first and marks[k] < marks[k - 1]:
                return g
            if np.uint64(items[k]) >= np.uint64(dead_from):
                continue
            if at == end or np.uint64(items[k]) != np.uint64(wanted[at]) or marks[k] != wanted_marks[at]:
                return g
            at += 1
        if at != end:
            return g
    return high


@njit(cache=True, nogil=True)
def same_txids(order, tag, bucket, base, low, high, txid, pairs):
    """Rows of an index that hold one txid: (later, earlier) into `pairs` int64[K,2] as far as there is room.

    `order` and `tag` hold the places of the buckets `low..high`, from place `base` on; returns how many pairs.
    """
    ids = window_of(txid)
    count = 0
    for b in range(low, high):
        start, end = np.int64(bucket[b]) - base, np.int64(bucket[b + 1]) - base
        for k in range(start + 1, end):
            j = k - 1
            while j >= start and tag[j] == tag[k]:
                if same_bytes(ids, 32 * np.int64(order[j]), ids, 32 * np.int64(order[k]), 32):
                    if count < pairs.shape[0]:
                        pairs[count, 0], pairs[count, 1] = order[k], order[j]
                    count += 1
                    break
                j -= 1
    return count


@njit(cache=True, nogil=True)
def same_scripts(order, tag, bucket, base, low, high, script_type, script_at, payload, pairs):
    """As `same_txids`, of scripts."""
    data = window_of(payload)
    count = 0
    for b in range(low, high):
        start, end = np.int64(bucket[b]) - base, np.int64(bucket[b + 1]) - base
        for k in range(start + 1, end):
            s = np.int64(order[k])
            at = np.int64(script_at[s])
            length = np.int64(script_at[s + 1]) - at
            j = k - 1
            while j >= start and tag[j] == tag[k]:
                r = np.int64(order[j])
                other = np.int64(script_at[r])
                if (
                    script_type[r] == script_type[s]
                    and np.int64(script_at[r + 1]) - other == length
                    and same_bytes(data, other, data, at, length)
                ):
                    if count < pairs.shape[0]:
                        pairs[count, 0], pairs[count, 1] = s, r
                    count += 1
                    break
                j -= 1
    return count
