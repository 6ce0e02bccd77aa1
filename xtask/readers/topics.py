"""Holds a broker's topics against the README's table: names, policies, keys and partitions.

    topics.py --bootstrap HOST:PORT [--prefix P] --readme README.md [--records]

Without --records only what `staffetta topics apply` has made is looked at. kafka-python is a client
written without librdkafka; its murmur2 is a port of the Java client's.
"""

import argparse
import pathlib
import re
import sys

from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.partitioner import murmur2

STATUS = "message.status"
DAY_MS = 86_400_000
ID = r"[0-9A-HJKMNP-TV-Z]{26}"
PERSON = r"[0-9a-f]{32}"
TOPIC = r"[a-z][a-z0-9_.]*"
# What the table's words for keys look like as bytes.
SHAPES = {
    "citizen pseudonym": PERSON,
    "citizen pseudonym + service id": rf"{PERSON}\+{ID}",
    "citizen pseudonym + installation": rf"{PERSON}\+[!-~]{{1,64}}",
    "citizen pseudonym + generation": rf"{PERSON}\+{PERSON}",
    "message id": ID,
    "service id": ID,
    "key id": r"[!-~]+",
    "origin topic": TOPIC,
    "origin position": rf"{TOPIC}/\d+/\d+",
}


def arguments():
    parser = argparse.ArgumentParser(description="Hold a broker's topics against the README's table.")
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--prefix", help="of the topics; not needed where one installation has the broker to itself")
    parser.add_argument("--readme", type=pathlib.Path, required=True)
    parser.add_argument("--records", action="store_true", help="also the key and partition of every record")
    return parser.parse_args()


def table(readme):
    """Topic to (key, partitioned by, kept), as the README has them."""
    rows = {}
    for line in readme.read_text().split("## Topics")[1].split("\n## ")[0].splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| `"):
            rows[cells[0].strip("`")] = tuple(cells[1:4])
    return rows


def policies(admin, names):
    """Topic to (cleanup.policy, retention.ms) on the broker."""
    resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
    answer = admin.describe_configs(resources, config_filter="all")
    return {name: settings for name, settings in flat(answer)}


def flat(answer):
    for name, settings in answer["topic"].items():
        yield name, {key: setting["value"] for key, setting in settings.items()}


def expected(kept):
    policy, _, days = kept.partition(", ")
    return policy, int(days.split()[0]) * DAY_MS if days else None


class Reader:
    """Every committed record of one topic after the other."""

    def __init__(self, bootstrap):
        self.consumer = KafkaConsumer(
            bootstrap_servers=bootstrap, isolation_level="read_committed", enable_auto_commit=False,
            fetch_max_wait_ms=50)

    def partitions(self, topic):
        return [TopicPartition(topic, number) for number in self.consumer.partitions_for_topic(topic)]

    def records(self, topic):
        parts = self.partitions(topic)
        self.consumer.assign(parts)
        ends = self.consumer.end_offsets(parts)
        self.consumer.seek_to_beginning(*parts)
        records = []
        while any(self.consumer.position(part) < ends[part] for part in parts):
            for batch in self.consumer.poll(timeout_ms=1_000).values():
                records.extend(batch)
        return records


def prefix_of(names):
    """What stands before our topics on a broker that one installation has to itself."""
    found = [name.removesuffix(STATUS) for name in names if name.endswith(STATUS)]
    if len(found) != 1:
        sys.exit(f"FAULT {len(found)} installations on this broker: say which by --prefix")
    return found[0]


def check_records(reader, topic, row, faults):
    """Key shapes as the table says; partitions as the Java client computes them. Gives the count."""
    key_word, partitioned_by, _ = row
    partitions = len(reader.partitions(topic))
    records = reader.records(topic)
    for record in records:
        key = record.key.decode()
        if not re.fullmatch(SHAPES[key_word], key):
            faults.append(f"{topic}: offset {record.offset} lies under no {key_word}")
        by = partitioned_by_what(key, key_word, partitioned_by)
        if by is not None and (murmur2(by.encode()) & 0x7FFF_FFFF) % partitions != record.partition:
            faults.append(f"{topic}: offset {record.offset} is not where the Java client would put it")
    return len(records)


def partitioned_by_what(key, key_word, partitioned_by):
    """The text that the partition is computed from; None where the key does not hold it."""
    if key_word == partitioned_by:
        return key
    return key.split("+")[0] if key_word.startswith(partitioned_by) else None


def verdict(faults):
    for fault in faults[:20]:
        print(f"FAULT {fault}")
    return 1 if faults else 0


def main():
    options = arguments()
    rows = table(options.readme)
    faults = [] if rows else ["the README has no table of topics"]
    admin = KafkaAdminClient(bootstrap_servers=options.bootstrap)
    reader = Reader(options.bootstrap)
    prefix = options.prefix or prefix_of(admin.list_topics())
    names = [name for name in admin.list_topics() if name.startswith(prefix)]
    there = {name.removeprefix(prefix): name for name in names}
    faults += [f"{name} is in the table and not on the broker" for name in rows.keys() - there.keys()]
    faults += [f"{name} is on the broker and not in the table" for name in there.keys() - rows.keys()]
    settings = policies(admin, names)
    count = 0
    for name in sorted(rows.keys() & there.keys()):
        policy, retention = expected(rows[name][2])
        found = settings[there[name]]
        if found["cleanup.policy"] != policy:
            faults.append(f"{name}: cleanup.policy is {found['cleanup.policy']}, the table says {policy}")
        if retention is not None and int(found["retention.ms"]) != retention:
            faults.append(f"{name}: retention.ms is {found['retention.ms']}, the table says {retention}")
        if options.records:
            count += check_records(reader, there[name], rows[name], faults)
    what = f", {count} records under the keys it says" if options.records else ""
    print(f"{len(rows)} topics as the README's table has them{what}" if not faults else "the table is not true")
    return verdict(faults)


if __name__ == "__main__":
    sys.exit(main())
