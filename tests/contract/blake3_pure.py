"""BLAKE3 in plain Python, after section 2 of the BLAKE3 paper: the default hash mode with 32 bytes of output.

It is slow and small on purpose: an implementation that shares nothing with the one under test.
"""

import struct

IV = (0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19)
PERMUTATION = (2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8)
# The columns and then the diagonals of the 4 x 4 state.
QUARTERS = (
    (0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15),
    (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14),
)
CHUNK_START, CHUNK_END, PARENT, ROOT = 1, 2, 4, 8
BLOCK_BYTES, CHUNK_BYTES = 64, 1024
MASK = 0xFFFFFFFF


def _rotate(value, bits):
    return (value >> bits) | (value << (32 - bits)) & MASK


def _quarter(state, a, b, c, d, x, y):
    state[a] = (state[a] + state[b] + x) & MASK
    state[d] = _rotate(state[d] ^ state[a], 16)
    state[c] = (state[c] + state[d]) & MASK
    state[b] = _rotate(state[b] ^ state[c], 12)
    state[a] = (state[a] + state[b] + y) & MASK
    state[d] = _rotate(state[d] ^ state[a], 8)
    state[c] = (state[c] + state[d]) & MASK
    state[b] = _rotate(state[b] ^ state[c], 7)


def _compress(chaining, block, counter, flags):
    """The chaining value after one block of at most 64 bytes."""
    words = struct.unpack("<16I", block.ljust(BLOCK_BYTES, b"\0"))
    state = [*chaining, *IV[:4], counter & MASK, counter >> 32, len(block), flags]
    for _ in range(7):
        for index, (a, b, c, d) in enumerate(QUARTERS):
            _quarter(state, a, b, c, d, words[2 * index], words[2 * index + 1])
        words = [words[source] for source in PERMUTATION]
    return [state[index] ^ state[index + 8] for index in range(8)]


def _chunk(data, counter, root):
    blocks = [data[start:start + BLOCK_BYTES] for start in range(0, len(data), BLOCK_BYTES)] or [b""]
    chaining = IV
    for index, block in enumerate(blocks):
        flags = CHUNK_START if index == 0 else 0
        if index == len(blocks) - 1:
            flags |= CHUNK_END | root
        chaining = _compress(chaining, block, counter, flags)
    return chaining


def _tree(data, counter, root):
    """Hashes a subtree whose first chunk has number `counter`."""
    if len(data) <= CHUNK_BYTES:
        return _chunk(data, counter, root)
    chunks = (len(data) - 1) // CHUNK_BYTES
    # The left half is the largest power of two of whole chunks that leaves at least one byte to the right.
    left = 1 << (chunks.bit_length() - 1)
    children = _tree(data[:left * CHUNK_BYTES], counter, 0) + _tree(data[left * CHUNK_BYTES:], counter + left, 0)
    return _compress(IV, struct.pack("<16I", *children), 0, PARENT | root)


def blake3(data):
    """The 32-byte hash of `data`."""
    return struct.pack("<8I", *_tree(bytes(data), 0, ROOT))
