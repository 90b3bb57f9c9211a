"""The word slab, written from section 2 of wit/README.md and from nothing else."""

import struct

from canonical import encode_value, float32_bits, float64_bits, item_type

FIXED = {"int64": "q", "timestamp": "q", "float64": "Q", "float32": "I"}


class Invalid(Exception):
    """An answer that breaks the contract."""


def _bitmap(flags):
    data = bytearray((len(flags) + 7) // 8)
    for index, flag in enumerate(flags):
        data[index // 8] |= bool(flag) << index % 8
    return bytes(data)


def _number(type_name, value):
    if value is None:
        return 0
    if type_name == "float64":
        return float64_bits(value)
    return float32_bits(value) if type_name == "float32" else int(value)


def _fixed(type_name, values):
    return struct.pack(f"<{len(values)}{FIXED[type_name]}", *(_number(type_name, value) for value in values))


def _offsets(lengths):
    offsets = [0]
    for length in lengths:
        offsets.append(offsets[-1] + length)
    return struct.pack(f"<{len(offsets)}i", *offsets)


def _column(type_name, values):
    """The buffers of a column without its validity bitmap."""
    item = item_type(type_name)
    if item is not None:
        lists = [value or [] for value in values]
        items = [each for value in lists for each in value]
        return [_offsets([len(value) for value in lists]), *_column(item, items)]
    if type_name == "bool":
        return [_bitmap(values)]
    if type_name in FIXED:
        return [_fixed(type_name, values)]
    # The canonical coding of a text is its length in four bytes and then what a slab holds.
    data = [b"" if value is None else encode_value(type_name, value)[4:] for value in values]
    return [_offsets([len(each) for each in data]), b"".join(data)]


def encode(fields, rows):
    """The bytes of a slab that a host sends."""
    slab = b""
    for index, field in enumerate(fields):
        values = [row[index] for row in rows]
        buffers = [_bitmap([value is not None for value in values])] if field["nullable"] else []
        for buffer in buffers + _column(field["type"], values):
            slab += buffer + b"\0" * (-len(buffer) % 8)
    return slab


def to_words(slab):
    """The words of a slab as the vectors write them."""
    return [f"{word:016x}" for (word,) in struct.iter_unpack("<Q", slab)]


def from_words(words):
    """The bytes of a slab."""
    return b"".join(struct.pack("<Q", int(word, 16)) for word in words)


class _Reader:
    def __init__(self, slab):
        self.slab = slab
        self.at = 0

    def buffer(self, count, what):
        if self.at + count > len(self.slab):
            raise Invalid(f"{what}: {count} bytes are wanted at byte {self.at} of {len(self.slab)}")
        data = self.slab[self.at:self.at + count]
        self.at += count + -count % 8
        return data

    def bitmap(self, count, what):
        data = self.buffer((count + 7) // 8, what)
        return [data[index // 8] >> index % 8 & 1 == 1 for index in range(count)]

    def offsets(self, count, what):
        offsets = struct.unpack(f"<{count + 1}i", self.buffer(4 * (count + 1), what))
        if offsets[0] != 0 or any(low > high for low, high in zip(offsets, offsets[1:])):
            raise Invalid(f"{what}: offsets that do not begin with 0 or fall")
        return offsets


def _read_column(reader, type_name, count, used, what):
    """Values of a column; None where `used` says that nobody looks."""
    item = item_type(type_name)
    if item is not None:
        offsets = reader.offsets(count, what)
        if offsets[-1] > len(reader.slab):
            raise Invalid(f"{what}: {offsets[-1]} items cannot fit")
        spans = list(zip(offsets, offsets[1:]))
        items_used = [flag for flag, (low, high) in zip(used, spans) for _ in range(low, high)]
        items = _read_column(reader, item, offsets[-1], items_used, what)
        return [items[low:high] if flag else None for flag, (low, high) in zip(used, spans)]
    if type_name == "bool":
        return _keep(reader.bitmap(count, what), used)
    if type_name in FIXED:
        size = struct.calcsize("<" + FIXED[type_name])
        numbers = struct.unpack(f"<{count}{FIXED[type_name]}", reader.buffer(size * count, what))
        return _keep([_written(type_name, number) for number in numbers], used)
    offsets = reader.offsets(count, what)
    data = reader.buffer(offsets[-1], what)
    slices = [data[low:high] for low, high in zip(offsets, offsets[1:])]
    if type_name == "binary":
        return _keep([each.hex() for each in slices], used)
    return [_text(each, what) if flag else None for each, flag in zip(slices, used)]


def _keep(values, used):
    return [value if flag else None for value, flag in zip(values, used)]


def _written(type_name, number):
    if type_name == "float64":
        return f"{float64_bits(f'{number:016x}'):016x}"
    return f"{float32_bits(f'{number:08x}'):08x}" if type_name == "float32" else str(number)


def _text(data, what):
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Invalid(f"{what}: invalid UTF-8") from error


def decode(fields, count, refused, slab):
    """The rows of a guest's answer; a refused row is None."""
    reader = _Reader(slab)
    accepted = [row not in refused for row in range(count)]
    columns = []
    for field in fields:
        used = accepted
        if field["nullable"]:
            present = reader.bitmap(count, field["name"])
            used = [flag and here for flag, here in zip(accepted, present)]
        columns.append(_read_column(reader, field["type"], count, used, field["name"]))
    if reader.at != len(slab):
        raise Invalid(f"{len(slab) - reader.at} bytes are left over")
    return [list(row) if flag else None for flag, row in zip(accepted, zip(*columns))]
