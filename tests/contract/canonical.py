"""Canonical row bytes, keys, digests and state ids, written from wit/README.md and from nothing else."""

import struct

from blake3_pure import blake3

STATUS = {"value": 0, "empty": 1, "expired": 2, "error": 3}
NAN_64 = 0x7FF8000000000000
NAN_32 = 0x7FC00000


class Malformed(Exception):
    """Bytes that are not the canonical encoding of anything."""


def item_type(type_name):
    """`T` of `list<T>`, or None for every other type."""
    return type_name[5:-1] if type_name.startswith("list<") else None


def float64_bits(digits):
    """The canonical bits of a float64 given as sixteen hexadecimal digits."""
    bits = int(digits, 16)
    return NAN_64 if bits & 0x7FFFFFFFFFFFFFFF > 0x7FF0000000000000 else bits


def float32_bits(digits):
    """The canonical bits of a float32 given as eight hexadecimal digits."""
    bits = int(digits, 16)
    return NAN_32 if bits & 0x7FFFFFFF > 0x7F800000 else bits


def _sized(data):
    return struct.pack("<I", len(data)) + data


ENCODERS = {
    "bool": lambda value: b"\1" if value else b"\0",
    "int64": lambda value: struct.pack("<q", int(value)),
    "timestamp": lambda value: struct.pack("<q", int(value)),
    "float64": lambda value: struct.pack("<Q", float64_bits(value)),
    "float32": lambda value: struct.pack("<I", float32_bits(value)),
    "utf8": lambda value: _sized(value.encode("utf-8")),
    "binary": lambda value: _sized(bytes.fromhex(value)),
}


def encode_value(type_name, value):
    """A value that is present, without its presence byte."""
    item = item_type(type_name)
    if item is None:
        return ENCODERS[type_name](value)
    return struct.pack("<I", len(value)) + b"".join(ENCODERS[item](each) for each in value)


def encode_fields(fields, values):
    """Presence bytes and values, as in rows and in entity keys."""
    if len(fields) != len(values):
        raise ValueError(f"{len(values)} values for {len(fields)} fields")
    parts = []
    for field, value in zip(fields, values):
        if value is None:
            parts.append(b"\0")
        else:
            parts.append(b"\1" + encode_value(field["type"], value))
    return b"".join(parts)


def encode_row(fields, row):
    """One row: `status`, and with it `values` or `code`."""
    status = row["status"]
    head = bytes([STATUS[status]])
    if status == "value":
        return head + encode_fields(fields, row["values"])
    if status == "empty":
        return head + encode_fields(fields, row.get("values", [None] * len(fields)))
    if status == "error":
        return head + struct.pack("<H", row["code"])
    return head


def digest(row_bytes):
    """The row digest."""
    return blake3(row_bytes)[:16]


class _Reader:
    def __init__(self, data):
        self.data = data
        self.at = 0

    def take(self, count):
        if self.at + count > len(self.data):
            raise Malformed(f"{count} bytes are wanted at byte {self.at} of {len(self.data)}")
        self.at += count
        return self.data[self.at - count:self.at]

    def unpack(self, form):
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def flag(self):
        byte = self.unpack("<B")
        if byte > 1:
            raise Malformed(f"byte {byte} where 0 or 1 must stand")
        return byte == 1


def _read_float(reader, form, digits, canonical):
    text = f"{reader.unpack(form):0{digits}x}"
    if canonical(text) != int(text, 16):
        raise Malformed(f"a NaN with the bits {text}")
    return text


def _read_text(reader):
    try:
        return reader.take(reader.unpack("<I")).decode("utf-8")
    except UnicodeDecodeError as error:
        raise Malformed(f"invalid UTF-8: {error}") from error


DECODERS = {
    "bool": _Reader.flag,
    "int64": lambda reader: str(reader.unpack("<q")),
    "timestamp": lambda reader: str(reader.unpack("<q")),
    "float64": lambda reader: _read_float(reader, "<Q", 16, float64_bits),
    "float32": lambda reader: _read_float(reader, "<I", 8, float32_bits),
    "utf8": _read_text,
    "binary": lambda reader: reader.take(reader.unpack("<I")).hex(),
}


def decode_fields(fields, data):
    """The values of a row without its status byte, or of a key."""
    reader = _Reader(data)
    values = []
    for field in fields:
        item = item_type(field["type"])
        if not reader.flag():
            values.append(None)
        elif item is None:
            values.append(DECODERS[field["type"]](reader))
        else:
            values.append([DECODERS[item](reader) for _ in range(reader.unpack("<I"))])
    if reader.at != len(data):
        raise Malformed(f"{len(data) - reader.at} bytes are left over")
    return values


def state_id(view):
    """The state id of a view in the form of `describe`."""

    def micros(key):
        return str(view[key] * 1_000_000) if key in view else "unlimited"

    parts = ["trifold-state-1", view["view"], view["kind"], str(view["state-version"])]
    parts += [micros("lateness-seconds"), micros("max-early-seconds"), str(len(view["entity"])), *view["entity"]]
    for field in view["inputs"]:
        parts += [field["name"], field["type"], "null" if field["nullable"] else "required"]
    return blake3(b"".join(part.encode("utf-8") + b"\xff" for part in parts))[:16]
