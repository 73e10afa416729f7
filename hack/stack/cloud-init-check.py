# SPDX-License-Identifier: Apache-2.0
"""Asks cloud-init itself about documents: one JSON line {"text": ..., "instanceData": ...} in, one line with the answer out.

Each document goes the way it goes on a machine: rendered as a Jinja template with the data of the instance, read as YAML, checked
against the schema. The answer has what was read ("document") and what cloud-init complains of ("problems").
"""
import json
import logging
import sys

from cloudinit import safeyaml
from cloudinit.config.schema import SchemaValidationError, get_schema, validate_cloudconfig_schema
from cloudinit.handlers.jinja_template import render_jinja_payload

HEADER = "#cloud-config\n"


class Complaints(logging.Handler):
    """Keeps warnings of cloud-init: a variable that Jinja does not know is only told there."""

    def __init__(self):
        super().__init__(level=logging.WARNING)
        self.lines = []

    def emit(self, record):
        self.lines.append(record.getMessage())


def check(request, schema, complaints):
    complaints.lines.clear()
    try:
        text = render_jinja_payload(request["text"], "part-001", request["instanceData"])
    except Exception as error:  # pylint: disable=broad-except
        return {"problems": [f"jinja: {type(error).__name__}: {error}"]}
    if text is None:
        return {"problems": [f"jinja: {line}" for line in complaints.lines]}
    problems = [f"jinja: {line}" for line in complaints.lines]
    if not text.startswith(HEADER):
        return {"problems": [*problems, "the document does not begin with #cloud-config"]}
    try:
        document = safeyaml.load(text)
    except Exception as error:  # pylint: disable=broad-except
        return {"problems": [*problems, f"yaml: {type(error).__name__}: {error}"]}
    try:
        validate_cloudconfig_schema(document, schema, strict=True, log_deprecations=False)
    except SchemaValidationError as error:
        problems += [f"schema: {problem[0]}: {problem[1]}" for problem in error.schema_errors]
        problems += [f"deprecated: {problem[0]}: {problem[1]}" for problem in error.schema_deprecations]
    return {"problems": problems, "document": document}


def main():
    complaints = Complaints()
    logging.getLogger().addHandler(complaints)
    schema = get_schema()
    for line in sys.stdin:
        print(json.dumps(check(json.loads(line), schema, complaints)))


main()
