"""Expands template.yaml as CloudFormation's SAM transform will, offline, and says what comes out.

`sam validate --lint` never runs the transform: two resources that end up under one name, or more resources than a
stack may have, would be found by the first deployment.
"""

import collections
import os
import sys

from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse

# CloudFormation's quota of resources in a stack.
MOST_RESOURCES = 500


class NoManagedPolicies:
    """The template names no managed policy, so nobody has to be asked for one."""

    def load(self):
        return {}


def main(path):
    os.environ.setdefault("AWS_DEFAULT_REGION", "eu-central-1")
    with open(path, encoding="utf-8") as file:
        template = yaml_parse(file.read())
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            # `sam deploy` uploads the folder and writes its address here.
            resource["Properties"]["CodeUri"] = "s3://bucket/key"
    resources = transform(template, {}, NoManagedPolicies())["Resources"]
    types = collections.Counter(resource["Type"] for resource in resources.values())
    print(f"{len(resources)} resources of at most {MOST_RESOURCES}:")
    for name, count in types.most_common():
        print(f"{count:5} {name}")
    return 0 if len(resources) <= MOST_RESOURCES else f"{path}: too many resources for one stack"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
