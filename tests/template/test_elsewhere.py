"""That other buckets are read where the parameters name them, by those who read inputs, and nowhere else."""

from __future__ import annotations

from typing import Any

import pytest

from batchmill.local.conditions import evaluate
from batchmill.local.intrinsics import Made, Scope, TemplateError, pseudo_parameters, resolve
from batchmill.local.parameters import settle
from template.reading import POOL, ROOT, Template, as_list

TEMPLATES = pytest.mark.parametrize("template", [ROOT, POOL], ids=["root", "pool"])
POLICIES = ("ElsewherePolicy", "ElsewhereKeysPolicy")
KEYS = [f"arn:aws:kms:us-east-1:{account}:key/0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0" for account in ("1" * 12, "2" * 12)]
READERS = {"ApiRole", "PlanRole", "LandRole", "TaskRole"}


def deployed(template: Template, buckets: str = "", keys: str = "") -> dict[str, dict[str, Any]]:
    """The policies that a stack with these parameters has, resolved."""
    declared = {name: template.document["Parameters"][name] for name in ("ReadableBuckets", "ReadableKeys")}
    given = settle(declared, {"ReadableBuckets": buckets, "ReadableKeys": keys})
    made = {role: Made(role) for role in READERS}
    scope = Scope({**given, **pseudo_parameters("s", "s", "us-east-1", "123456789012")}, made=made)
    named = {name: item for name, item in template.document["Conditions"].items() if name.startswith("Reads")}
    holds = evaluate(named, scope)
    there = [name for name in POLICIES if holds[template.resources[name]["Condition"]]]
    return {name: resolve(template.resources[name]["Properties"], scope) for name in there}


def allowed(policy: dict[str, Any]) -> dict[str, list[str]]:
    """What a policy allows: resources by action."""
    statements = policy["PolicyDocument"]["Statement"]
    return {action: as_list(s["Resource"]) for s in statements for action in as_list(s["Action"])}


@TEMPLATES
def test_the_buckets_named_may_be_read_and_looked_into_and_no_others(template: Template) -> None:
    policies = deployed(template, buckets="theirs, more.of-them")
    assert set(policies) == {"ElsewherePolicy"}
    objects = ["arn:*:s3:::theirs/*", "arn:*:s3:::more.of-them/*"]
    assert allowed(policies["ElsewherePolicy"]) == {
        "s3:GetObject": objects,
        "s3:GetObjectVersion": objects,
        "s3:ListBucket": ["arn:*:s3:::theirs", "arn:*:s3:::more.of-them"],
    }


@TEMPLATES
def test_the_keys_named_may_be_used_for_reading_from_s3(template: Template) -> None:
    policies = deployed(template, keys=",".join(KEYS))
    assert set(policies) == {"ElsewhereKeysPolicy"}
    assert allowed(policies["ElsewhereKeysPolicy"]) == {"kms:Decrypt": KEYS}
    [statement] = policies["ElsewhereKeysPolicy"]["PolicyDocument"]["Statement"]
    assert statement["Condition"] == {"StringEquals": {"kms:ViaService": "s3.us-east-1.amazonaws.com"}}


@TEMPLATES
def test_without_them_there_is_no_policy(template: Template) -> None:
    assert deployed(template) == {}


def test_those_read_that_look_inputs_up_plan_them_land_them_and_work_at_them() -> None:
    roles = {
        role["Ref"]
        for template in (ROOT, POOL)
        for name in POLICIES
        for role in template.of("IAM::Policy")[name]["Roles"]
    }
    assert roles == READERS


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("buckets", "*"),
        ("buckets", "ok,th*rs"),
        ("buckets", "a/b"),
        ("keys", "*"),
        ("keys", KEYS[0].replace("key/", "*")),
    ],
)
def test_a_parameter_that_would_open_more_is_refused(name: str, value: str) -> None:
    with pytest.raises(TemplateError, match="is refused"):
        deployed(ROOT, **{name: value})


def test_those_that_accept_and_list_inputs_know_the_buckets_and_the_stack_tells_of_them() -> None:
    value = {"Fn::Join": [",", {"Ref": "ReadableBuckets"}]}
    functions = ROOT.functions().items()
    told = {n: f["Environment"]["Variables"].get("BATCHMILL_READABLE_BUCKETS") for n, f in functions}
    knowing = {name: given for name, given in told.items() if given is not None}
    assert knowing == dict.fromkeys(["IntakeFunction", "ApiFunction", "PlanFunction"], value)
    output = ROOT.document["Outputs"]["OtherBuckets"]
    assert (output["Value"], output["Condition"]) == (value, "ReadsElsewhere")  # CloudFormation has no empty output
