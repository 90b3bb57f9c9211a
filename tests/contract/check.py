"""Checks Trifold's canonical bytes with an implementation that shares nothing with the Rust one.

    check.py vectors WIT     checks the vectors and examples of the folder WIT
    check.py rows FILE       checks rows, one JSON object per line, and prints how many agree
    check.py encode FILE     prints bytes and digest of such rows

Needs Python 3.8 or newer and no packages. Exits 1 if anything disagrees, 2 for wrong arguments.
"""

import json
import pathlib
import sys

# Set before the imports below, so that no compiled files appear in the source tree.
sys.dont_write_bytecode = True

import canonical
import slab
from blake3_pure import blake3


class Checks:
    """Counts what agrees and prints what does not."""

    def __init__(self):
        self.agreed = self.total = 0

    def same(self, what, ours, theirs):
        self.total += 1
        if ours == theirs:
            self.agreed += 1
        else:
            print(f"{what}:\n  ours   {ours}\n  theirs {theirs}")

    def refuses(self, what, error, call):
        try:
            self.same(what, f"accepted: {call()}", "refused")
        except error:
            self.same(what, "refused", "refused")

    def report(self):
        print(f"{self.agreed} of {self.total} agreed")
        return 0 if self.total and self.agreed == self.total else 1


def check_row(checks, what, fields, row):
    data = canonical.encode_row(fields, row)
    ours = {"bytes": data.hex(), "digest": canonical.digest(data).hex()}
    checks.same(what, ours, {"bytes": row["bytes"], "digest": row["digest"]})
    if row["status"] == "value":
        again = canonical.encode_fields(fields, canonical.decode_fields(fields, data[1:]))
        checks.same(f"{what}, decoded", again.hex(), row["bytes"][2:])


def check_canonical(checks, vectors):
    for case in vectors["cases"]:
        for index, row in enumerate(case["rows"]):
            check_row(checks, f"{case['name']}, row {index}", case["fields"], row)
    for index, key in enumerate(vectors["keys"]):
        data = canonical.encode_fields(key["fields"], key["values"])
        checks.same(f"key {index}", [data.hex(), blake3(data).hex()], [key["bytes"], key["hash"]])
    for case in vectors["malformed"]:
        data = bytes.fromhex(case["bytes"])
        checks.refuses(case["why"], canonical.Malformed, lambda: canonical.decode_fields(case["fields"], data))
    for case in vectors["state-ids"]:
        checks.same(f"state id of {case['view']}", canonical.state_id(case["view"]).hex(), case["state-id"])
    for case in vectors["hashes"]:
        data = bytes(index % 251 for index in range(case["length"]))
        checks.same(f"hash of {case['length']} bytes", blake3(data).hex(), case["hash"])


def canonical_values(fields, rows):
    """The values as a host reads or writes them: floats with canonical NaNs."""
    return [row and canonical.decode_fields(fields, canonical.encode_fields(fields, row)) for row in rows]


def check_slab(checks, vectors):
    for case in vectors["cases"]:
        words = slab.to_words(slab.encode(case["fields"], case["values"]))
        checks.same(case["name"], words, case["words"])
        back = slab.decode(case["fields"], case["rows"], [], slab.from_words(words))
        checks.same(f"{case['name']}, read back", back, canonical_values(case["fields"], case["values"]))
    for case in vectors["answers"]:
        values = slab.decode(case["fields"], case["rows"], case["refused"], slab.from_words(case["words"]))
        checks.same(case["name"], values, case["values"])
    for case in vectors["invalid"]:
        data = slab.from_words(case["words"])
        checks.refuses(case["why"], slab.Invalid, lambda: slab.decode(case["fields"], case["rows"], [], data))


def check_readme(checks, text, vectors):
    """The worked examples, a word to the line, then `|` and words for people: the first case, and the batches of a
    call of `accumulate`."""
    binary = [{"name": "state", "type": "binary", "nullable": False}]
    flag = [{"name": "column_0", "type": "bool", "nullable": False}]
    examples = [
        slab.from_words(vectors["cases"][0]["words"]),
        slab.encode(binary, [[""], ["0103"]]),
        slab.encode(flag, [[False]] * 3),
        slab.encode(binary, [["0102"], ["0103"], ["0106"]]),
    ]
    words = lambda data: [f"{at:02x}  {data[at:at + 8].hex(' ')}" for at in range(0, len(data), 8)]
    dump = [word for data in examples for word in words(data)]
    shown = [line.split("  | ")[0] for line in text.splitlines() if "  | " in line]
    checks.same("the worked examples in README.md", dump, shown)


def check_vectors(wit):
    checks = Checks()
    read = lambda name: json.loads((wit / name).read_text(encoding="utf-8"))
    check_canonical(checks, read("vectors/canonical-rows.json"))
    slabs = read("vectors/slab.json")
    check_slab(checks, slabs)
    check_readme(checks, (wit / "README.md").read_text(encoding="utf-8"), slabs)
    return checks.report()


def read_lines(path):
    with open(path, encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def check_rows(path):
    checks = Checks()
    for index, row in enumerate(read_lines(path)):
        data = canonical.encode_row(row["fields"], row)
        ours = [data.hex(), canonical.digest(data).hex()]
        checks.same(f"row {index} of {path}", ours, [row["bytes"], row["digest"]])
    return checks.report()


def encode_rows(path):
    for row in read_lines(path):
        data = canonical.encode_row(row["fields"], row)
        print(data.hex(), canonical.digest(data).hex())
    return 0


def main(arguments):
    commands = {"vectors": lambda path: check_vectors(pathlib.Path(path)), "rows": check_rows, "encode": encode_rows}
    if len(arguments) != 2 or arguments[0] not in commands:
        print(__doc__, file=sys.stderr)
        return 2
    return commands[arguments[0]](arguments[1])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
