#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Checks documents of `diagnose --format json` against docs/diagnosis.schema.json:
check_document.py SCHEMA FILE…"""
import json
import pathlib
import sys

import jsonschema


def main():
    path = pathlib.Path(sys.argv[1])
    # The records are described next to it: one schema of both needs no resolver of file names.
    schema = json.loads(path.read_text(encoding="utf-8").replace("records.schema.json#", "#"))
    records = path.with_name("records.schema.json").read_text(encoding="utf-8")
    schema["$defs"] = json.loads(records)["$defs"]
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    faults = 0
    for name in sys.argv[2:]:
        with open(name, encoding="utf-8") as f:
            for error in validator.iter_errors(json.load(f)):
                faults += 1
                if faults <= 5:
                    print(f"{name}: {error.json_path}: {error.message[:200]}")
    print(f"{len(sys.argv) - 2} documents, {faults} faults")
    return 1 if faults else 0


sys.exit(main())
