"""That the parts of the template fit each other and the tree."""

from __future__ import annotations

import ast
import json
import re

import pytest

from batchmill.adapters import records
from template.reading import NESTED, POOL, PROJECT, ROOT, TEMPLATES, Template, known_variables, named

FUNCTIONS = ROOT.functions()
QUEUES = {**ROOT.of("SQS::Queue"), **{f"Pool.{name}": queue for name, queue in POOL.of("SQS::Queue").items()}}


def pool_output(name: str) -> str:
    """The pool's queue behind one of its outputs, as QUEUES names it."""
    return "Pool." + next(iter(named(POOL.document["Outputs"][name]["Value"])))


def queue_of(arn: dict[str, list[str]]) -> str:
    """The queue that an event source names."""
    owner, attribute = arn["Fn::GetAtt"]
    return pool_output(attribute.removeprefix("Outputs.")) if owner == "Pool" else owner


SOURCES = [
    (name, event["Properties"])
    for name, function in FUNCTIONS.items()
    for event in function.get("Events", {}).values()
    if event["Type"] == "SQS"
]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_handler_exists(name: str) -> None:
    module, _, attribute = FUNCTIONS[name]["Handler"].partition(".")
    tree = ast.parse((PROJECT / FUNCTIONS[name]["CodeUri"] / f"{module}.py").read_text())
    assert attribute in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_every_local_path_exists() -> None:
    layers = ROOT.of("Serverless::LayerVersion").values()
    paths = [
        *(layer["ContentUri"] for layer in layers),
        *(application["Location"] for application in ROOT.of("Serverless::Application").values()),
        *(machine["DefinitionUri"] for machine in ROOT.of("Serverless::StateMachine").values()),
    ]
    assert [path for path in paths if not (PROJECT / path).exists()] == []
    assert len(paths) == 7


def test_every_placeholder_of_the_state_machine_is_supplied_and_none_besides() -> None:
    [machine] = ROOT.of("Serverless::StateMachine").values()
    wanted = set(re.findall(r"\$\{(\w+)\}", (PROJECT / machine["DefinitionUri"]).read_text()))
    assert wanted == set(machine["DefinitionSubstitutions"])
    for name, value in machine["DefinitionSubstitutions"].items():
        assert value == {"Fn::GetAtt": [name.removesuffix("Arn"), "Arn"]}


def test_the_state_machine_may_invoke_what_it_invokes() -> None:
    [machine] = ROOT.of("Serverless::StateMachine").values()
    [allowed] = [
        statement["Resource"]
        for owner, statement in ROOT.statements()
        if owner == "StateMachineRole" and statement["Action"] == "lambda:InvokeFunction"
    ]
    assert allowed == list(machine["DefinitionSubstitutions"].values())


@pytest.mark.parametrize(("name", "source"), SOURCES, ids=[f"{n}-{queue_of(s['Queue'])}" for n, s in SOURCES])
def test_a_message_stays_hidden_six_times_as_long_as_its_function_may_take(
    name: str, source: dict[str, dict[str, list[str]]]
) -> None:
    assert QUEUES[queue_of(source["Queue"])]["VisibilityTimeout"] >= 6 * FUNCTIONS[name]["Timeout"]


@pytest.mark.parametrize(("name", "source"), SOURCES, ids=[f"{n}-{queue_of(s['Queue'])}" for n, s in SOURCES])
def test_a_message_that_fails_comes_back_alone(name: str, source: dict[str, list[str]]) -> None:
    assert source["FunctionResponseTypes"] == ["ReportBatchItemFailures"]


def test_every_queue_has_dead_letters_but_those_that_are() -> None:
    dead = {
        prefix + next(iter(named(queue["RedrivePolicy"]["deadLetterTargetArn"])))
        for name, queue in QUEUES.items()
        if "RedrivePolicy" in queue
        for prefix in (name.rpartition(".")[0] + "." if "." in name else "",)
    }
    assert dead <= set(QUEUES)
    assert {name for name, queue in QUEUES.items() if "RedrivePolicy" not in queue} == dead


@pytest.mark.parametrize("name", QUEUES)
def test_every_queue_keeps_messages_as_long_as_it_can(name: str) -> None:
    assert QUEUES[name]["MessageRetentionPeriod"] == 14 * 24 * 3600


def test_a_pools_queue_gives_up_on_a_message_late_and_what_it_gives_up_is_resumed() -> None:
    assert QUEUES[pool_output("QueueArn")]["RedrivePolicy"]["maxReceiveCount"] == 1000
    consumed = {queue_of(source["Queue"]) for name, source in SOURCES if name == "ResumeFunction"}
    assert consumed == {"ResumeQueue", pool_output("DeadLetterQueueArn")}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_variable_of_a_function_is_one_that_the_settings_read(name: str) -> None:
    ours = {key for key in FUNCTIONS[name]["Environment"]["Variables"] if key.startswith("BATCHMILL_")}
    assert ours <= known_variables()
    assert {"BATCHMILL_TABLE", "BATCHMILL_DATA_BUCKET"} <= ours


def test_every_variable_of_a_worker_is_one_that_the_settings_read() -> None:
    [task] = POOL.of("ECS::TaskDefinition").values()
    [container] = task["ContainerDefinitions"]
    ours = {item["Name"] for item in container["Environment"] if item["Name"].startswith("BATCHMILL_")}
    assert ours <= known_variables()
    assert {"BATCHMILL_TABLE", "BATCHMILL_DATA_BUCKET", "BATCHMILL_POOL", "BATCHMILL_POOLS"} <= ours
    assert (PROJECT / container["Command"][1]).is_file()


@pytest.mark.parametrize("template", [ROOT, POOL], ids=["root", "pool"])
def test_the_pools_variable_is_json_of_one_pool(template: Template) -> None:
    values = [
        text
        for resource in (template.document.get("Globals", {}), template.resources)
        for text in re.findall(r'\{"(?:default|\$\{PoolName\})".*?\}\}', json.dumps(resource).replace('\\"', '"'))
    ]
    assert len(values) == 1
    [pool] = json.loads(values[0]).values()
    extra = (
        {"cluster", "service", "tokens_per_second"} if template is ROOT else set()
    )  # a worker wakes and plans nothing
    assert set(pool) == {"queue_url", "model", "revision", "quantization"} | extra


@pytest.mark.parametrize("name", NESTED)
def test_a_nested_stack_is_given_parameters_that_it_has_and_all_that_it_needs(name: str) -> None:
    application = ROOT.of("Serverless::Application")[name]
    assert application["Location"] == NESTED[name].path.relative_to(PROJECT).as_posix()
    declared = NESTED[name].document["Parameters"]
    needed = {name for name, parameter in declared.items() if "Default" not in parameter}
    assert needed <= set(application["Parameters"]) <= set(declared)


@pytest.mark.parametrize("name", NESTED)
def test_the_outputs_of_a_nested_stack_that_the_root_reads_exist(name: str) -> None:
    read = set(re.findall(rf'{name}(?:", "|\.)Outputs\.(\w+)', json.dumps(ROOT.document)))
    assert read
    assert read <= set(NESTED[name].document["Outputs"])


@pytest.mark.parametrize("template", TEMPLATES.values(), ids=TEMPLATES)
def test_every_parameter_is_used_and_described(template: Template) -> None:
    used = named(template.document.get("Globals", {})) | named(template.resources) | named(template.document["Outputs"])
    used |= named(template.document.get("Conditions", {}))
    assert set(template.document["Parameters"]) <= used
    assert all(parameter["Description"] for parameter in template.document["Parameters"].values())


@pytest.mark.parametrize("template", TEMPLATES.values(), ids=TEMPLATES)
def test_no_resource_and_no_output_has_the_name_of_a_parameter(template: Template) -> None:
    # SAM's command line puts the parameter's value in the place of such a name, and ends with a stack trace at a list.
    document = template.document
    assert set(document["Parameters"]) & {*document["Resources"], *document.get("Outputs", {})} == set()


def test_the_stack_tells_a_person_what_there_is() -> None:
    told = {"InputBucket", "DataBucket", "IntakeQueueUrl", "TableName", "StateMachineArn", "CancelFunctionName"}
    assert told | {"PauseFunctionName", "PoolQueueUrl", "ClusterName", "ServiceName"} <= set(ROOT.document["Outputs"])


def test_pyarrow_is_attached_where_parquet_is_read_or_written_and_nowhere_else() -> None:
    with_arrow = {name for name, f in FUNCTIONS.items() if {"Ref": "ArrowLayer"} in f["Layers"]}
    assert with_arrow == {"PlanFunction", "LandFunction"}


def test_plan_stops_by_itself_well_before_it_is_stopped() -> None:
    plan = FUNCTIONS["PlanFunction"]
    assert float(plan["Environment"]["Variables"]["BATCHMILL_PLAN_SECONDS"]) + 120 <= plan["Timeout"]


def test_the_table_has_the_indexes_that_the_records_are_written_for() -> None:
    [table] = ROOT.of("DynamoDB::Table").values()
    keys = {
        index["IndexName"]: [key["AttributeName"] for key in index["KeySchema"]]
        for index in table["GlobalSecondaryIndexes"]
    }
    assert keys == {index: [index, f"{index}_at"] for index in (records.OPEN_INDEX, records.LISTED_INDEX)}
