"""Verifies the chain of an audit log with nothing but the rule of the documentation.

Reads the names of its files, in their order, as JSON on stdin: {"files": [...]}. Prints {"seq": ..., "hash": ...} of the last
line, or {"broken": "FILE:LINE"} of the first line that does not follow the line before it.
"""

import hashlib
import json
import sys


def verify(files):
    seq, prev = 0, "0" * 64
    for file in files:
        for number, line in enumerate(open(file, "rb"), 1):
            entry = json.loads(line)
            if (entry["seq"], entry["prev"]) != (seq + 1, prev):
                return {"broken": f"{file}:{number}"}
            seq, prev = entry["seq"], hashlib.sha256(line).hexdigest()
    return {"seq": seq, "hash": prev}


json.dump(verify(json.load(sys.stdin)["files"]), sys.stdout)
