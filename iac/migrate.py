"""Invokes the application's Migrate function and waits as long as it may take; `sam remote invoke` gives up after a minute.

    python iac/migrate.py STACK_NAME
"""

import json
import sys

import boto3
from botocore.config import Config


def main(stack_name: str) -> int:
    resources = boto3.client("cloudformation")
    function = resources.describe_stack_resource(StackName=stack_name, LogicalResourceId="Migrate")
    name = function["StackResourceDetail"]["PhysicalResourceId"]
    # The function's own timeout and a little; a second try would only be throttled.
    patience = Config(read_timeout=310, retries={"total_max_attempts": 1})
    answer = boto3.client("lambda", config=patience).invoke(FunctionName=name, Payload=b"{}")
    print(json.dumps(json.load(answer["Payload"])))
    if "FunctionError" in answer:
        print("The migrations failed: the application is deployed, its database is as it was.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
