from batchmill.commands.embedded import Running
from batchmill.commands.up import addresses, ready_lines
from batchmill.local.host import Deployment

OUTPUTS = {
    "InputBucket": "in",
    "DataBucket": "data",
    "IntakeQueueUrl": "queue",
    "StateMachineArn": "arn",
    "TableName": "table",
    "ApiUrl": "http://127.0.0.1:3",
    "OpenAiBaseUrl": "http://127.0.0.1:3/v1",
}
RUNNING = Running(
    Deployment("batchmill", "id", {}, OUTPUTS, {}, ["no permission is checked here: IAM::Role (13)"]),
    "http://127.0.0.1:1",
    "http://127.0.0.1:2/v1",
    "m",
    "key",
)


def test_a_program_is_told_all_it_needs() -> None:
    told = addresses(RUNNING)
    assert (told["aws_endpoint_url"], told["input_bucket"], told["data_bucket"]) == ("http://127.0.0.1:1", "in", "data")
    assert set(told) >= {
        "intake_queue_url",
        "state_machine_arn",
        "table",
        "access_key_id",
        "secret_access_key",
        "region",
    }
    assert (told["api_url"], told["openai_base_url"], told["api_key"]) == (
        "http://127.0.0.1:3",
        "http://127.0.0.1:3/v1",
        "key",
    )


def test_a_person_is_told_what_to_export_how_the_clock_runs_and_what_is_not_simulated() -> None:
    text = "\n".join(ready_lines(RUNNING, 30.0))
    for part in (
        "export AWS_ENDPOINT_URL=http://127.0.0.1:1",
        "30 times",
        "OPENAI_API_KEY=key",
        "http://127.0.0.1:3/v1/batches",
        "IAM::Role (13)",
    ):
        assert part in text
