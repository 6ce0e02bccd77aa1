"""Reads message.status as a subscriber in another language would, under the published schema alone.

    status.py --bootstrap HOST:PORT [--prefix P] --schema message_status.avsc --messages N

Neither the client (kafka-python) nor the Avro reader (fastavro) shares a line with ours. Exit code 1
and one line a fault if anything is not as the README says.
"""

import argparse
import collections
import io
import json
import pathlib
import sys

import fastavro
from fastavro.schema import fingerprint, load_schema, to_parsing_canonical_form

import topics

FINAL = {"REJECTED", "NOT_ON_BOARD", "NOTIFIED", "UNNOTIFIED", "EXPIRED", "FAILED"}
SINGLE_OBJECT = b"\xc3\x01"


def arguments():
    parser = argparse.ArgumentParser(description="Read message.status under the published schema.")
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--prefix", help="of the topics; not needed where one installation has the broker to itself")
    parser.add_argument("--schema", type=pathlib.Path, required=True)
    parser.add_argument("--messages", type=int, required=True)
    return parser.parse_args()


def events(records, schema, faults):
    """The decoded events, each with the key it lay under."""
    canonical = to_parsing_canonical_form(json.loads(schema.read_text()))
    mark = SINGLE_OBJECT + bytes.fromhex(fingerprint(canonical, "CRC-64-AVRO"))
    parsed = load_schema(str(schema))
    for record in records:
        if not record.value.startswith(mark):
            faults.append(f"offset {record.offset} does not begin with the published schema's fingerprint")
            continue
        body = io.BytesIO(record.value[len(mark):])
        event = fastavro.schemaless_reader(body, parsed)
        if body.read():
            faults.append(f"offset {record.offset} goes on after the record")
        if record.key.decode() != event["message_id"]:
            faults.append(f"offset {record.offset} does not lie under its message id")
        yield event


def main():
    options = arguments()
    faults = []
    reader = topics.Reader(options.bootstrap)
    prefix = options.prefix or topics.prefix_of(reader.consumer.topics())
    records = reader.records(prefix + topics.STATUS)
    by_message = collections.defaultdict(list)
    for event in events(records, options.schema, faults):
        by_message[event["message_id"]].append(event)
    for message, list_of_events in by_message.items():
        sequences = sorted(event["sequence"] for event in list_of_events)
        if sequences != list(range(len(sequences))):
            faults.append(f"{message}: sequences {sequences}")
        ends = sum(event["status"] in FINAL for event in list_of_events)
        if ends != 1:
            faults.append(f"{message}: {ends} final statuses")
    if len(by_message) != options.messages:
        faults.append(f"{len(by_message)} messages have events, {options.messages} were sent")
    print(f"{len(records)} events of {len(by_message)} messages read with fastavro")
    return topics.verdict(faults)


if __name__ == "__main__":
    sys.exit(main())
