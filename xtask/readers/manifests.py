"""Looks into rendered manifests for what no schema says.

    manifests.py --scalers SCALERS.json RENDERED.yaml

Every finding is a line of standard error, and ends it with 1. Otherwise prints, as JSON, the configuration
file that the pods read and the stages that each of them runs.
"""

import argparse
import json
import pathlib
import sys

import yaml

WORKLOADS = ("Deployment", "StatefulSet", "Job")
SEATED = {"consent", "vault", "apns", "fcm", "email", "delay", "batch"}
ORDINAL = "STAFFETTA_WORKER__ORDINAL"


def main():
    parser = argparse.ArgumentParser(description="Look into rendered manifests for what no schema says.")
    parser.add_argument("--scalers", type=pathlib.Path, required=True)
    parser.add_argument("rendered", type=pathlib.Path)
    asked = parser.parse_args()
    documents = [it for it in yaml.safe_load_all(asked.rendered.read_text()) if it]
    scalers = {it["type"]: it["parameters"] for it in json.loads(asked.scalers.read_text())["scalers"]}
    chart = Chart(documents)
    findings = [*names_once(documents), *chart.dangling(), *chart.pods_as_they_should_be()]
    findings += [line for it in chart.of("ScaledObject") for line in triggers(it, scalers)]
    for line in findings:
        print(line, file=sys.stderr)
    if findings:
        sys.exit(1)
    json.dump({"configuration": chart.configuration(), "stages": chart.stages()}, sys.stdout)


def called(document):
    return f"{document['kind']} {document['metadata']['name']}"


def names_once(documents):
    seen = set()
    for document in documents:
        if called(document) in seen:
            yield f"{called(document)}: twice"
        seen.add(called(document))


class Chart:
    def __init__(self, documents):
        self.documents = documents
        self.workloads = [it for kind in WORKLOADS for it in self.of(kind)]

    def of(self, kind):
        return [it for it in self.documents if it["kind"] == kind]

    def pod(self, workload):
        return workload["spec"]["template"]

    def selected(self, labels):
        """Workloads whose pods carry all these labels."""
        pods = [(it, self.pod(it)["metadata"]["labels"]) for it in self.workloads]
        return [it for it, own in pods if labels.items() <= own.items()]

    def dangling(self):
        """Names that lead nowhere."""
        for it in self.of("Service"):
            for workload in self.selected(it["spec"]["selector"]) or [None]:
                if workload is None:
                    yield f"{called(it)}: selects nothing"
                    continue
                containers = self.pod(workload)["spec"]["containers"]
                ports = {port["name"] for one in containers for port in one.get("ports", [])}
                for port in it["spec"]["ports"]:
                    if port["targetPort"] not in ports:
                        yield f"{called(it)}: {called(workload)} has no port {port['targetPort']}"
        for it in self.of("PodDisruptionBudget"):
            if len(self.selected(it["spec"]["selector"]["matchLabels"])) != 1:
                yield f"{called(it)}: must select one workload"
        for it in self.of("NetworkPolicy"):
            if not self.selected(it["spec"]["podSelector"]["matchLabels"]):
                yield f"{called(it)}: selects nothing"
        for it in self.of("ServiceMonitor"):
            wanted = it["spec"]["selector"]["matchLabels"].items()
            services = [one for one in self.of("Service") if wanted <= one["metadata"]["labels"].items()]
            if len(services) != 1:
                yield f"{called(it)}: must select one Service"
        names = {called(it) for it in self.documents}
        for it in self.of("ScaledObject"):
            target = it["spec"]["scaleTargetRef"]
            if f"{target['kind']} {target['name']}" not in names:
                yield f"{called(it)}: no {target['kind']} {target['name']}"
        for workload in self.workloads:
            spec = self.pod(workload)["spec"]
            wanted = [f"ServiceAccount {spec['serviceAccountName']}"]
            wanted += [f"ConfigMap {it['configMap']['name']}" for it in spec["volumes"] if "configMap" in it]
            yield from (f"{called(workload)}: no {name}" for name in wanted if name not in names)

    def pods_as_they_should_be(self):
        for workload in self.workloads:
            spec = self.pod(workload)["spec"]
            labels = self.pod(workload)["metadata"]["labels"]
            containers = spec["containers"] + spec.get("initContainers", [])
            for container in containers:
                security = container.get("securityContext", {})
                if not (security.get("readOnlyRootFilesystem") and security.get("runAsNonRoot")):
                    yield f"{called(workload)}: {container['name']} may write its root, or be root"
                variables = {it["name"]: it for it in container["env"]}
                secret = [name for name, it in variables.items() if "PASSWORD" in name and "value" in it]
                yield from (f"{called(workload)}: {name} in clear" for name in secret)
            mounted = {it["name"] for one in containers for it in one["volumeMounts"]}
            offered = {it["name"] for it in spec["volumes"]}
            offered |= {it["metadata"]["name"] for it in workload["spec"].get("volumeClaimTemplates", [])}
            if mounted != offered:
                yield f"{called(workload)}: volumes {sorted(offered ^ mounted)} without their twin"
            if not any(labels.items() >= it["spec"]["podSelector"]["matchLabels"].items()
                       and "Ingress" in it["spec"]["policyTypes"] for it in self.of("NetworkPolicy")):
                yield f"{called(workload)}: no NetworkPolicy denies"
            if workload["kind"] != "Job" and self.seated(workload) != (ORDINAL in variables_of(spec)):
                yield f"{called(workload)}: an ordinal belongs to who sits in a group, and to nobody else"
            if self.is_run(workload) and self.seated(workload) != (workload["kind"] == "StatefulSet"):
                yield f"{called(workload)}: seats need a StatefulSet, and nothing else does"

    def is_run(self, workload):
        return self.pod(workload)["spec"]["containers"][0]["args"][0] == "run"

    def seated(self, workload):
        stages = self.stages_of(workload)
        return not stages or bool(SEATED & set(stages))

    def stages_of(self, workload):
        arguments = self.pod(workload)["spec"]["containers"][0]["args"]
        named = [it.removeprefix("--stages=") for it in arguments if it.startswith("--stages=")]
        return named[0].split(",") if named else []

    def configuration(self):
        return next(it["data"]["staffetta.toml"] for it in self.of("ConfigMap") if "staffetta.toml" in it["data"])

    def stages(self):
        return [self.stages_of(it) for it in self.workloads if self.is_run(it)]


def variables_of(spec):
    return {it["name"] for it in spec["containers"][0]["env"]}


def triggers(scaled, scalers):
    """KEDA's own list says what a trigger may hold; neither its CRD nor a schema looks inside."""
    for at, trigger in enumerate(scaled["spec"]["triggers"]):
        place = f"{called(scaled)}: trigger {at} ({trigger['type']})"
        if trigger["type"] not in scalers:
            yield f"{place}: no such scaler"
            continue
        parameters = {it["name"]: it for it in scalers[trigger["type"]]}
        for key, value in trigger["metadata"].items():
            known = parameters.get(key)
            if not isinstance(value, str):
                yield f"{place}: {key} must be a string"
            if known is None:
                yield f"{place}: {key} is no parameter"
            elif known.get("allowedValue") and value not in known["allowedValue"]:
                yield f"{place}: {key} may be {', '.join(known['allowedValue'])}"
        for key, known in parameters.items():
            needed = not known.get("optional") and "default" not in known and known.get("metadataVariableReadable")
            if needed and key not in trigger["metadata"]:
                yield f"{place}: {key} is missing"


main()
