from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchmill.local.intrinsics import (
    Made,
    Scope,
    TemplateError,
    order,
    prune,
    pseudo_parameters,
    references,
    resolve,
)

SCOPE = Scope(
    parameters={
        **pseudo_parameters("mill", "arn:stack", "us-east-1", "123456789012"),
        "Name": "tickets",
        "Rows": "1000",
        "Zones": ["a", "b"],
    },
    mappings={"Sizes": {"small": {"rows": 10}}},
    made={"Queue": Made("http://queue", {"Arn": "arn:queue", "Outputs.Url": "http://inner"})},
)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"Ref": "Name"}, "tickets"),
        ({"Ref": "Queue"}, "http://queue"),
        ({"Ref": "AWS::Region"}, "us-east-1"),
        ({"Fn::GetAtt": ["Queue", "Arn"]}, "arn:queue"),
        ({"Fn::GetAtt": "Queue.Arn"}, "arn:queue"),
        ({"Fn::GetAtt": ["Queue", "Outputs.Url"]}, "http://inner"),
        ({"Fn::Sub": "${AWS::StackName}-${Name}-${Queue.Arn}"}, "mill-tickets-arn:queue"),
        ({"Fn::Sub": "keep ${!This} and ${Rows}"}, "keep ${This} and 1000"),
        ({"Fn::Sub": ["${a}/${Name}", {"a": {"Ref": "Queue"}}]}, "http://queue/tickets"),
        ({"Fn::Join": [",", ["a", {"Ref": "Name"}, 3]]}, "a,tickets,3"),
        ({"Fn::Join": ["-", {"Ref": "Zones"}]}, "a-b"),
        ({"Fn::Select": ["1", {"Ref": "Zones"}]}, "b"),
        ({"Fn::Select": [0, {"Fn::Split": ["/", "x/y"]}]}, "x"),
        ({"Fn::FindInMap": ["Sizes", "small", "rows"]}, 10),
        ({"Fn::GetAZs": ""}, ["us-east-1a", "us-east-1b", "us-east-1c", "us-east-1d"]),
        ({"Fn::Cidr": ["10.0.0.0/20", 2, "10"]}, ["10.0.0.0/22", "10.0.4.0/22"]),
        ({"Fn::Select": [3, {"Fn::Cidr": ["10.0.0.0/16", 4, 10]}]}, "10.0.12.0/22"),
        ({"Fn::Base64": "hi"}, "aGk="),
        ({"Fn::ToJsonString": {"url": {"Ref": "Queue"}, "n": 1}}, '{"url":"http://queue","n":1}'),
    ],
)
def test_each_function_gives_what_cloudformation_gives(value: Any, expected: Any) -> None:
    assert resolve(value, SCOPE) == expected


def test_what_is_no_value_is_left_out_of_mappings_and_lists() -> None:
    gone = {"Ref": "AWS::NoValue"}

    assert resolve({"a": gone, "b": [1, gone, {"c": gone}]}, SCOPE) == {"b": [1, {}]}


def test_a_policy_condition_is_not_taken_for_a_function() -> None:
    statement = {"Condition": {"ArnLike": {"aws:SourceArn": "x"}}}

    assert resolve(statement, SCOPE) == statement


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"Ref": "Nobody"}, "Nobody"),
        ({"Fn::GetAtt": ["Queue", "Colour"]}, "Queue has no attribute 'Colour'"),
        ({"Fn::GetAtt": ["Nobody", "Arn"]}, "Nobody"),
        ({"Fn::Sub": "${Nobody}"}, "Nobody"),
        ({"Fn::Sub": "${Zones}"}, "a string is needed"),
        ({"Fn::Join": [","]}, "2 items"),
        ({"Fn::Select": [5, ["a"]]}, "item 5 of a list of 1"),
        ({"Fn::FindInMap": ["Sizes", "large", "rows"]}, "Sizes / large / rows"),
        ({"Fn::Cidr": ["10.0.0.0/20", 5, 10]}, "asked for 5 blocks of 10 bits, and 10.0.0.0/20 has 4"),
        ({"Fn::Cidr": ["10.0.0.0/20", 1, 13]}, "cannot divide 10.0.0.0/20 into blocks of 13 bits"),
        ({"Fn::Cidr": ["network", 1, 8]}, "cannot divide network"),
        ({"Fn::ImportValue": "x"}, "no other stacks"),
        ({"Fn::Transform": {}}, "Fn::Transform is not supported"),
    ],
)
def test_a_misused_function_is_an_error_that_names_it(value: Any, words: str) -> None:
    with pytest.raises(TemplateError, match=words):
        resolve(value, SCOPE)


def test_if_keeps_only_the_branch_that_its_condition_picks() -> None:
    value = {"x": [{"Fn::If": ["Big", {"Ref": "A"}, {"Fn::If": ["Small", {"Ref": "B"}, {"Ref": "C"}]}]}]}

    assert prune(value, {"Big": False, "Small": True}) == {"x": [{"Ref": "B"}]}
    assert prune(value, {"Big": True, "Small": True}) == {"x": [{"Ref": "A"}]}


def test_if_of_an_unknown_condition_is_an_error() -> None:
    with pytest.raises(TemplateError, match="Missing"):
        prune({"Fn::If": ["Missing", 1, 2]}, {})


def test_references_are_found_in_every_form() -> None:
    value = {
        "a": {"Ref": "One"},
        "b": {"Fn::GetAtt": ["Two", "Arn"]},
        "c": {"Fn::Sub": ["${Three.Arn} ${local} ${!Not}", {"local": {"Ref": "Four"}}]},
        "d": {"Fn::Join": ["", [{"Fn::Sub": "${Five}"}]]},
    }

    assert references(value) == {"One", "Two", "Three", "Four", "Five"}


def test_resources_that_need_each_other_are_named() -> None:
    resources = {
        "A": {"Properties": {"x": {"Ref": "B"}}},
        "B": {"DependsOn": "C"},
        "C": {"Properties": {"x": {"Fn::Sub": "${A.Arn}"}}},
    }

    with pytest.raises(TemplateError, match=r"circle: .*A.* -> .*"):
        order(resources)


@given(st.data(), st.integers(min_value=1, max_value=12))
def test_a_resource_always_comes_after_all_that_it_needs(data: st.DataObject, count: int) -> None:
    names = data.draw(st.permutations([f"R{number}" for number in range(count)]))
    resources: dict[str, Any] = {}
    needed: dict[str, set[str]] = {}
    for position, name in enumerate(names):
        earlier = names[:position]
        needed[name] = data.draw(st.sets(st.sampled_from(earlier))) if earlier else set()
        form = data.draw(st.sampled_from(["Ref", "Fn::GetAtt", "Fn::Sub", "DependsOn"]))
        resources[name] = _needing(form, sorted(needed[name]))
    shuffled = data.draw(st.permutations(names))

    found = order({name: resources[name] for name in shuffled})

    assert sorted(found) == sorted(names)
    for name in names:
        assert all(found.index(other) < found.index(name) for other in needed[name])


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: (
            st.lists(inner) | st.dictionaries(st.text().filter(lambda key: not key.startswith("Fn::")), inner)
        ),
        max_leaves=20,
    )
)
def test_a_value_without_functions_stays_as_it_is(value: Any) -> None:
    assert resolve({"holder": [value]}, Scope({})) == {"holder": [value]}


def _needing(form: str, names: list[str]) -> dict[str, Any]:
    if form == "DependsOn":
        return {"DependsOn": names}
    forms: dict[str, list[Any]] = {
        "Ref": [{"Ref": name} for name in names],
        "Fn::GetAtt": [{"Fn::GetAtt": [name, "Arn"]} for name in names],
        "Fn::Sub": [{"Fn::Sub": f"x${{{name}}}"} for name in names],
    }
    return {"Properties": {"values": forms[form]}}
