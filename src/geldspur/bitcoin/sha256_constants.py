"""The constants of SHA-256 (FIPS 180-4, sections 4.2.2 and 5.3.3)."""

ROUND = [
    0x428A2F98, 0x71374491, 0xB5C0FBCF, 0xE9B5DBA5, 0x3956C25B, 0x59F111F1, 0x923F82A4, 0xAB1C5ED5,
    0xD807AA98, 0x12835B01, 0x243185BE, 0x550C7DC3, 0x72BE5D74, 0x80DEB1FE, 0x9BDC06A7, 0xC19BF174,
    0xE49B69C1, 0xEFBE4786, 0x0FC19DC6, 0x240CA1CC, 0x2DE92C6F, 0x4A7484AA, 0x5CB0A9DC, 0x76F988DA,
    0x983E5152, 0xA831C66D, 0xB00327C8, 0xBF597FC7, 0xC6E00BF3, 0xD5A79147, 0x06CA6351, 0x14292967,
    0x27B70A85, 0x2E1B2138, 0x4D2C6DFC, 0x53380D13, 0x650A7354, 0x766A0ABB, 0x81C2C92E, 0x92722C85,
    0xA2BFE8A1, 0xA81A664B, 0xC24B8B70, 0xC76C51A3, 0xD192E819, 0xD6990624, 0xF40E3585, 0x106AA070,
    0x19A4C116, 0x1E376C08, 0x2748774C, 0x34B0BCB5, 0x391C0CB3, 0x4ED8AA4A, 0x5B9CCA4F, 0x682E6FF3,
    0x748F82EE, 0x78A5636F, 0x84C87814, 0x8CC70208, 0x90BEFFFA, 0xA4506CEB, 0xBEF9A3F7, 0xC67178F2,
]  # fmt: skip
"""The words K of the 64 rounds."""

START = [0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19]
"""The state that every message begins with."""


def _rotate(x: int, n: int) -> int:
    return (x >> n | x << 32 - n) & 0xFFFFFFFF


def expand(block: bytes) -> list[int]:
    """The schedule W of a 64-byte block: 64 words."""
    words = [int.from_bytes(block[i : i + 4], "big") for i in range(0, 64, 4)]
    for i in range(16, 64):
        x, y = words[i - 15], words[i - 2]
        s0 = _rotate(x, 7) ^ _rotate(x, 18) ^ x >> 3
        s1 = _rotate(y, 17) ^ _rotate(y, 19) ^ y >> 10
        words.append((words[i - 16] + s0 + words[i - 7] + s1) & 0xFFFFFFFF)
    return words


PADDING_OF_64 = b"\x80" + bytes(61) + b"\x02\x00"
"""The block that ends a message of 64 bytes."""
PADDING_OF_32 = b"\x80" + bytes(29) + b"\x01\x00"
"""The 32 bytes that end a message of 32 bytes."""
