"""A second reader of Core's undo data for tests, in plain Python: it shares no code with the program's kernel."""

from dataclasses import dataclass

PRIME = 2**256 - 2**32 - 977


class NotUndo(Exception):
    pass


@dataclass(frozen=True)
class PlainCoin:
    height: int
    coinbase: bool
    value: int
    script: bytes


class _Cursor:
    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def take(self, n: int) -> bytes:
        if n > len(self.data) - self.at:
            raise NotUndo("ends early")
        self.at += n
        return self.data[self.at - n : self.at]

    def compact(self) -> int:
        first = self.take(1)[0]
        if first < 253:
            return first
        width = 1 << first - 252
        value = int.from_bytes(self.take(width), "little")
        if value < {2: 253, 4: 1 << 16, 8: 1 << 32}[width] or value > 0x02000000:
            raise NotUndo("count")
        return value

    def varint(self, bits: int) -> int:
        most, value = (1 << bits) - 1, 0
        while True:
            byte = self.take(1)[0]
            if value > most >> 7:
                raise NotUndo("number")
            value = value << 7 | byte & 0x7F
            if byte < 0x80:
                return value
            if value == most:
                raise NotUndo("number")
            value += 1


def amount(x: int) -> int:
    if x == 0:
        return 0
    x, zeros = divmod(x - 1, 10)
    if zeros < 9:
        x, digit = divmod(x, 9)
        n = x * 10 + digit + 1
    else:
        n = x + 1
    return n * 10**zeros % (1 << 64)


def script(c: _Cursor) -> bytes:
    size = c.varint(32)
    if size == 0:
        return b"\x76\xa9\x14" + c.take(20) + b"\x88\xac"
    if size == 1:
        return b"\xa9\x14" + c.take(20) + b"\x87"
    if size in (2, 3):
        return bytes([33, size]) + c.take(32) + b"\xac"
    if size in (4, 5):
        x = c.take(32)
        number = int.from_bytes(x)
        y = pow(number**3 + 7, (PRIME + 1) // 4, PRIME)
        if number >= PRIME or (y * y - number**3 - 7) % PRIME:
            raise NotUndo("not on the curve")
        if y % 2 != size % 2:
            y = PRIME - y
        return b"\x41\x04" + x + y.to_bytes(32) + b"\xac"
    return c.take(size - 6)


def read_undo(data: bytes) -> list[list[PlainCoin]]:
    c = _Cursor(data)
    txs = []
    for _ in range(c.compact()):
        count = c.compact()
        if count > len(data):
            raise NotUndo("more coins than bytes")
        coins = []
        for _ in range(count):
            code = c.varint(32)
            if code >> 1:
                c.varint(32)
            value = amount(c.varint(64))
            if value > 21_000_000 * 10**8:
                raise NotUndo("more money than there is")
            coins.append(PlainCoin(code >> 1, bool(code & 1), value, script(c)))
        txs.append(coins)
    if c.at != len(data):
        raise NotUndo("bytes left over")
    return txs


def varint(n: int) -> bytes:
    out = [n & 0x7F]
    while n > 0x7F:
        n = (n >> 7) - 1
        out.append(n & 0x7F | 0x80)
    return bytes(reversed(out))


def compress(value: int) -> int:
    if value == 0:
        return 0
    zeros = 0
    while value % 10 == 0 and zeros < 9:
        value, zeros = value // 10, zeros + 1
    if zeros < 9:
        value, digit = divmod(value, 10)
        return 1 + (value * 9 + digit - 1) * 10 + zeros
    return 1 + (value - 1) * 10 + 9


def count(n: int) -> bytes:
    return bytes([n]) if n < 253 else b"\xfd" + n.to_bytes(2, "little")


def write_coin(coin: PlainCoin) -> bytes:
    s = coin.script
    if len(s) == 25 and s[:3] == b"\x76\xa9\x14" and s[23:] == b"\x88\xac":
        stored = b"\0" + s[3:23]
    elif len(s) == 23 and s[:2] == b"\xa9\x14" and s[22:] == b"\x87":
        stored = b"\1" + s[2:22]
    elif len(s) == 35 and s[0] == 33 and s[1] in (2, 3) and s[34] == 0xAC:
        stored = s[1:34]
    elif len(s) == 67 and s[:2] == b"\x41\x04" and s[66] == 0xAC and _on_curve(s[2:66]):
        stored = bytes([4 | s[65] & 1]) + s[2:34]
    else:
        stored = varint(len(s) + 6) + s
    head = varint(coin.height * 2 + coin.coinbase) + (b"\0" if coin.height else b"")
    return head + varint(compress(coin.value)) + stored


def _on_curve(point: bytes) -> bool:
    x, y = int.from_bytes(point[:32]), int.from_bytes(point[32:])
    return x < PRIME and y < PRIME and (y * y - x**3 - 7) % PRIME == 0


def write_undo(txs: list[list[PlainCoin]]) -> bytes:
    return count(len(txs)) + b"".join(count(len(coins)) + b"".join(map(write_coin, coins)) for coins in txs)
