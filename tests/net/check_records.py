#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Checks JSON lines against docs/records.schema.json: check_records.py SCHEMA FILE…

Prints the first few faults and how many records of each type were checked."""
import collections
import json
import sys

import jsonschema


def main():
    with open(sys.argv[1], encoding="utf-8") as f:
        schema = json.load(f)
    jsonschema.Draft202012Validator.check_schema(schema)
    # One validator a type: a fault is then told by its own schema, not as "none of these".
    validators = {
        name: jsonschema.Draft202012Validator({"$ref": f"#/$defs/{name}", "$defs": schema["$defs"]})
        for name in (ref["$ref"].rsplit("/", 1)[1] for ref in schema["oneOf"])
    }
    seen, faults = collections.Counter(), 0
    for path in sys.argv[2:]:
        with open(path, encoding="utf-8") as f:
            for number, line in enumerate(f, 1):
                record = json.loads(line)
                seen[record.get("type")] += 1
                validator = validators.get(record.get("type"))
                errors = list(validator.iter_errors(record)) if validator else ["unknown type"]
                faults += len(errors)
                for error in errors[: max(0, 3 - faults + len(errors))]:
                    print(f"{path}:{number}: {getattr(error, 'message', error)}")
    print(" ".join(f"{name}={seen[name]}" for name in sorted(seen, key=str)))
    return 1 if faults or not seen else 0


sys.exit(main())
