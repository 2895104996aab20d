from __future__ import annotations

import socket
from pathlib import Path

import pytest

from batchmill.local.intrinsics import TemplateError
from batchmill.local.translate import Template, read_template, translate

DATA = Path(__file__).parent / "data"


@pytest.fixture
def template(monkeypatch: pytest.MonkeyPatch) -> Template:
    def refuse(*_: object) -> None:
        raise AssertionError("the translator opened a connection")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    return translate(DATA / "small.yaml", {})


def test_no_sam_is_left(template: Template) -> None:
    types = {resource["Type"] for resource in template.section("Resources").values()}

    assert not [name for name in types if name.startswith("AWS::Serverless")]
    assert types >= {
        "AWS::Lambda::Function",
        "AWS::Lambda::LayerVersion",
        "AWS::Lambda::EventSourceMapping",
        "AWS::Events::Rule",
        "AWS::StepFunctions::StateMachine",
        "AWS::CloudFormation::Stack",
    }


def test_local_folders_and_files_come_back(template: Template) -> None:
    resources = template.section("Resources")
    code = resources["EchoFunction"]["Properties"]["Code"]
    definition = resources["Machine"]["Properties"]["DefinitionS3Location"]

    assert template.code_path(code) == DATA / "code"
    assert template.code_path(definition, "Bucket", "Key") == DATA / "machine.asl.json"
    assert template.local_path(resources["Inner"]["Properties"]["TemplateURL"]) == DATA / "inner.yaml"


def test_globals_reach_every_function(template: Template) -> None:
    properties = template.section("Resources")["EchoFunction"]["Properties"]

    assert properties["Timeout"] == 20
    assert properties["Environment"]["Variables"]["GREETING"] == {"Ref": "Greeting"}
    assert len(properties["Layers"]) == 1


@pytest.mark.parametrize("address", ["s3://other/code", "https://example.com/inner.yaml"])
def test_a_remote_address_is_refused(template: Template, address: str) -> None:
    with pytest.raises(TemplateError, match="not on this machine"):
        template.local_path(address)


def test_remote_code_in_a_template_names_the_function(tmp_path: Path) -> None:
    path = tmp_path / "t.yaml"
    path.write_text("Resources:\n  Far:\n    Type: AWS::Serverless::Function\n    Properties: {CodeUri: s3://a/b}\n")

    with pytest.raises(TemplateError, match="Far: CodeUri must be a local path"):
        translate(path, {})


def test_a_folder_that_is_missing_is_named(tmp_path: Path) -> None:
    template = Template({}, tmp_path)

    with pytest.raises(TemplateError, match="nothing_here"):
        template.code_path({"S3Bucket": "batchmill-local", "S3Key": "nothing_here"})


def test_what_the_translator_refuses_is_told_in_its_words(tmp_path: Path) -> None:
    path = tmp_path / "t.yaml"
    path.write_text("Resources:\n  Bad:\n    Type: AWS::Serverless::Function\n    Properties: {CodeUri: .}\n")

    with pytest.raises(TemplateError, match=r"t\.yaml is not a valid SAM template: .*Bad"):
        translate(path, {})


@pytest.mark.parametrize("content", ["a: [", "just text", "Outputs: {}"])
def test_a_file_that_is_no_template_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "t.yaml"
    path.write_text(content)

    with pytest.raises(TemplateError, match=r"t\.yaml"):
        read_template(path)


def test_short_forms_and_dates_are_read_as_cloudformation_reads_them(tmp_path: Path) -> None:
    path = tmp_path / "t.yaml"
    path.write_text(
        "AWSTemplateFormatVersion: 2010-09-09\n"
        "Resources:\n  A: {x: !GetAtt B.Outputs.C, y: !Join [',', [!Ref D]], z: !Sub 'a${E}'}\n"
    )

    document = read_template(path)

    assert document["AWSTemplateFormatVersion"] == "2010-09-09"
    assert document["Resources"]["A"] == {
        "x": {"Fn::GetAtt": ["B", "Outputs.C"]},
        "y": {"Fn::Join": [",", [{"Ref": "D"}]]},
        "z": {"Fn::Sub": "a${E}"},
    }
