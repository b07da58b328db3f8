"""Kernels that judge which transactions show one owner, and join scripts into wallets."""

import numpy as np
from numba import njit

_NO_SCRIPT = np.iinfo(np.uint32).max

# Verdicts on a transaction's inputs; `wallets.verdicts.Verdict` names them.
NOTHING, CO_SPEND, COINJOIN, PAYJOIN, CONFLICT, ONE_WALLET = range(6)


@njit(cache=True)
def _distinct(values):
    """Number of distinct values in a sorted array."""
    n = 1 if values.size else 0
    for i in range(1, values.size):
        if values[i] != values[i - 1]:
            n += 1
    return n


@njit(cache=True)
def _equal_outputs(value, script, floor):
    """How many distinct scripts the most frequent value above `floor` pays, and how many outputs repeat one.

    Returns (count of the most frequent value, outputs whose value pays more than one script). Values are
    counted once a script, so that an address paid twice does not look like two participants.
    """
    order = np.argsort(value)
    most = 0
    repeated = 0
    i = 0
    while i < order.size:
        j = i
        while j < order.size and value[order[j]] == value[order[i]]:
            j += 1
        if value[order[i]] > floor:
            scripts = np.empty(j - i, np.uint32)
            for k in range(i, j):
                scripts[k - i] = script[order[k]]
            scripts.sort()
            n = _distinct(scripts)
            most = max(most, n)
            if n > 1:
                repeated += j - i
        i = j
    return most, repeated


@njit(cache=True)
def looks_like_coinjoin(in_script, value, script, dust_floor, min_equal, wasabi_equal):
    """Do the outputs look as if several owners had signed together?

    `in_script` uint32: one a input; `value` int64 and `script` uint32: the spendable outputs. Three published
    shapes: equal outputs for at least half of the outputs (JoinMarket, Whirlpool), many equal outputs beside
    free ones (Wasabi 1), most outputs in repeated denominations (Wasabi 2).
    """
    if value.size < min_equal or in_script.size < min_equal:
        return False
    ordered = np.sort(in_script)
    signers = _distinct(ordered)
    if signers < min_equal:
        return False
    most, repeated = _equal_outputs(value, script, dust_floor)
    if most < min_equal or most > signers:
        return False
    if 2 * most >= value.size:
        return True
    if most >= wasabi_equal:
        return True
    return in_script.size >= 2 * wasabi_equal and 2 * repeated >= value.size


@njit(cache=True)
def _types_split_like_payjoin(in_type, in_value, out_type, out_value):
    """Two script types among the inputs, one output of each, and one type's owner gained what the other lost."""
    if out_type[0] == out_type[1]:
        return False
    gain0 = out_value[0]
    gain1 = out_value[1]
    seen0 = False
    seen1 = False
    for i in range(in_type.size):
        if in_type[i] == out_type[0]:
            gain0 -= in_value[i]
            seen0 = True
        elif in_type[i] == out_type[1]:
            gain1 -= in_value[i]
            seen1 = True
        else:
            return False
    return seen0 and seen1 and ((gain0 > 0 and gain1 < 0) or (gain1 > 0 and gain0 < 0))


@njit(cache=True)
def _grows_by_round_amount(in_value, out_value, unit):
    """Does an output that is not round itself exceed one input by a round amount, the price of a purchase?"""
    for o in range(2):
        if out_value[o] % unit == 0:
            continue
        for i in range(in_value.size):
            if out_value[o] > in_value[i] and (out_value[o] - in_value[i]) % unit == 0:
                return True
    return False


@njit(cache=True)
def looks_like_payjoin(in_type, in_value, in_sequence, out_type, out_value, round_unit, min_change, few_inputs):
    """Could a payer and a payee have signed this two-output transaction together?

    All arrays run over inputs or over the two spendable outputs. Four signs, each enough to undo the
    co-spend: inputs that differ in sequence number; inputs and outputs split by script type into a gainer and
    a loser; an output that outgrows an input by a multiple of `round_unit`; an input that no payment needed,
    even to make `min_change` of change. The last is no sign where more than `few_inputs` come together:
    wallets that gather small coins do that alone.
    """
    for i in range(1, in_sequence.size):
        if in_sequence[i] != in_sequence[0]:
            return True
    if _types_split_like_payjoin(in_type, in_value, out_type, out_value):
        return True
    if _grows_by_round_amount(in_value, out_value, round_unit):
        return True
    if in_type.size > few_inputs:
        return False
    for i in range(1, in_type.size):
        if in_type[i] != in_type[0]:
            return False
    total = in_value.sum()
    fee = total - out_value[0] - out_value[1]
    largest = max(out_value[0], out_value[1])
    return total - in_value.min() - largest - fee >= min_change


@njit(cache=True)
def judge(
    first, end, tx_in, tx_out, in_prevout, in_sequence, out_script, out_value, script_type,
    dust_floor, min_equal, wasabi_equal, round_unit, min_change, few_inputs, verdict,
):  # fmt: skip
    """Judge transactions `first .. end` into `verdict` (uint8[T]).

    An input whose prevout lies outside the ledger is unknown and takes no part.
    """
    for t in range(first, end):
        a, b = tx_in[t], tx_in[t + 1]
        known = 0
        for i in range(a, b):
            if in_prevout[i] < out_script.size and out_script[in_prevout[i]] != _NO_SCRIPT:
                known += 1
        if known < 2:
            verdict[t] = NOTHING
            continue
        scripts = np.empty(known, np.uint32)
        values = np.empty(known, np.int64)
        types = np.empty(known, np.uint8)
        sequences = np.empty(known, np.uint32)
        n = 0
        for i in range(a, b):
            if in_prevout[i] >= out_script.size or out_script[in_prevout[i]] == _NO_SCRIPT:
                continue
            o = in_prevout[i]
            scripts[n] = out_script[o]
            values[n] = out_value[o]
            types[n] = script_type[out_script[o]]
            sequences[n] = in_sequence[i]
            n += 1
        one = True
        for i in range(1, n):
            one = one and scripts[i] == scripts[0]
        if one:
            verdict[t] = NOTHING
            continue
        spendable = 0
        for o in range(tx_out[t], tx_out[t + 1]):
            if out_script[o] != _NO_SCRIPT:
                spendable += 1
        o_value = np.empty(spendable, np.int64)
        o_script = np.empty(spendable, np.uint32)
        n = 0
        for o in range(tx_out[t], tx_out[t + 1]):
            if out_script[o] != _NO_SCRIPT:
                o_value[n] = out_value[o]
                o_script[n] = out_script[o]
                n += 1
        verdict[t] = CO_SPEND
        if looks_like_coinjoin(scripts, o_value, o_script, dust_floor, min_equal, wasabi_equal):
            verdict[t] = COINJOIN
        elif spendable == 2:
            o_type = np.empty(2, np.uint8)
            o_type[0] = script_type[o_script[0]]
            o_type[1] = script_type[o_script[1]]
            if looks_like_payjoin(types, values, sequences, o_type, o_value, round_unit, min_change, few_inputs):
                verdict[t] = PAYJOIN


@njit(cache=True)
def find(parent, s):
    """The representative of a script's wallet, with path halving."""
    while parent[s] != s:
        parent[s] = parent[parent[s]]
        s = parent[s]
    return s


@njit(cache=True)
def merge(tx_in, in_prevout, out_script, verdict, actor, parent):
    """Join the inputs of every CO_SPEND transaction in ledger order; returns the number of joins made.

    `parent` uint32[S] begins as the identity and ends as each script's wallet: the smallest script of it.
    `actor` int32[S] names the service that a script's tag gives it (0 none). A transaction that would join
    two services is judged CONFLICT instead and joins nothing.
    """
    joins = 0
    for t in range(tx_in.size - 1):
        if verdict[t] != CO_SPEND:
            continue
        named = 0
        for i in range(tx_in[t], tx_in[t + 1]):
            o = in_prevout[i]
            if o >= out_script.size or out_script[o] == _NO_SCRIPT:
                continue
            who = actor[find(parent, out_script[o])]
            if who != 0 and named != 0 and who != named:
                verdict[t] = CONFLICT
                break
            if who != 0:
                named = who
        if verdict[t] != CO_SPEND:
            continue
        root = np.int64(-1)
        for i in range(tx_in[t], tx_in[t + 1]):
            o = in_prevout[i]
            if o >= out_script.size or out_script[o] == _NO_SCRIPT:
                continue
            other = np.int64(find(parent, out_script[o]))
            if root < 0:
                root = other
            elif other != root:
                low, high = min(root, other), max(root, other)
                parent[high] = low
                root = low
                joins += 1
        if root >= 0:
            actor[root] = named if named != 0 else actor[root]
    for s in range(parent.size):
        parent[s] = find(parent, s)
    return joins


@njit(cache=True)
def mark_single_owner(tx_in, in_prevout, out_script, wallet, verdict):
    """A refused transaction whose inputs other transactions have joined anyway has one owner after all."""
    for t in range(tx_in.size - 1):
        if verdict[t] != COINJOIN and verdict[t] != PAYJOIN:
            continue
        root = np.int64(-1)
        same = True
        for i in range(tx_in[t], tx_in[t + 1]):
            o = in_prevout[i]
            if o >= out_script.size or out_script[o] == _NO_SCRIPT:
                same = False
                break
            if root < 0:
                root = wallet[out_script[o]]
            elif wallet[out_script[o]] != root:
                same = False
                break
        if same:
            verdict[t] = ONE_WALLET


@njit(cache=True)
def join_tree(
    sources, targets, tx_in, in_prevout, out_script, out_spender, out_start, outputs, verdict,
    reached, via_script, via_tx, queue,
):  # fmt: skip
    """Breadth-first search over co-spends from `sources` until all `targets` are reached.

    `reached` uint8[S], `via_script` uint32[S], `via_tx` int64[S] are the tree (cleared by the caller where
    `queue`, uint32[S], says); `outputs[out_start[s] : out_start[s + 1]]` are the outputs that pay script s.
    Returns (scripts reached, targets not reached).
    """
    head = 0
    tail = 0
    for s in sources:
        if not reached[s]:
            reached[s] = 1
            via_tx[s] = -1
            queue[tail] = s
            tail += 1
    missing = 0
    for s in targets:
        if not reached[s]:
            missing += 1
            reached[s] = 2
    while head < tail and missing > 0:
        s = queue[head]
        head += 1
        if out_start[s + 1] > outputs.size:
            return tail, -1
        for k in range(out_start[s], out_start[s + 1]):
            if outputs[k] >= out_spender.size:
                return tail, -1
            i = out_spender[outputs[k]]
            if i >= in_prevout.size:
                continue
            t = np.searchsorted(tx_in, i, side="right") - 1
            if t < 0 or t >= verdict.size or tx_in[t + 1] > in_prevout.size:
                return tail, -1
            if verdict[t] != CO_SPEND:
                continue
            for j in range(tx_in[t], tx_in[t + 1]):
                o = in_prevout[j]
                if o >= out_script.size or out_script[o] == _NO_SCRIPT:
                    continue
                other = out_script[o]
                if other >= reached.size:
                    return tail, -1
                if reached[other] == 1:
                    continue
                if reached[other] == 2:
                    missing -= 1
                reached[other] = 1
                via_script[other] = s
                via_tx[other] = t
                queue[tail] = other
                tail += 1
    for s in targets:
        if reached[s] == 2:
            reached[s] = 0
    return tail, missing
