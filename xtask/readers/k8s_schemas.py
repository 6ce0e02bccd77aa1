"""Lays out the schemas of Kubernetes as kubeconform reads them without a network.

    k8s_schemas.py OUT VERSION

They come from the package kubernetes-validate, whose references are web addresses. `$id` goes, or they
would be resolved against it; `_definitions.json` then lies beside the file that names it.
"""

import importlib.util
import json
import pathlib
import sys

ADDRESS = '"/api/_definitions.json#'
KIND = "x-kubernetes-group-version-kind"


def main(out, version):
    package = importlib.util.find_spec("kubernetes_validate").submodule_search_locations[0]
    source = pathlib.Path(package) / "kubernetes-json-schema" / f"v{version}-local-strict"
    folder = pathlib.Path(out) / f"v{version}-strict"
    folder.mkdir(parents=True)
    for path in source.glob("*.json"):
        text = path.read_text()
        if path.name == "_definitions.json" or KIND in text:
            schema = json.loads(text.replace(ADDRESS, '"_definitions.json#'))
            schema.pop("$id", None)
            (folder / path.name).write_text(json.dumps(schema))


main(*sys.argv[1:])
