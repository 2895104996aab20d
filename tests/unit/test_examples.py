from pathlib import Path

import pytest
import yaml

from batchmill import cli
from batchmill.commands.preflight import check, peek
from batchmill.contracts.intake import BatchFile
from batchmill.contracts.spec import parse_spec

EXAMPLES = Path(__file__).parents[2] / "examples"
BATCH_FILES = sorted(EXAMPLES.glob("*.batch.yaml"))
PROFILES = sorted(set(EXAMPLES.glob("*.yaml")) - set(BATCH_FILES))


@pytest.mark.parametrize("path", PROFILES, ids=lambda path: path.name)
def test_every_example_profile_is_valid_and_fits_the_tickets(path: Path) -> None:
    assert cli.status(["profile", "check", str(path)]) == 0
    spec = parse_spec(yaml.safe_load(path.read_text()), path.name)
    assert check(spec, peek([str(EXAMPLES / "tickets.csv")], spec)) == []


@pytest.mark.parametrize("path", BATCH_FILES, ids=lambda path: path.name)
def test_every_example_batch_file_is_valid_and_names_inputs_beside_it(path: Path) -> None:
    file = BatchFile.model_validate(yaml.safe_load(path.read_text()))
    spec = parse_spec(file.spec, path.name)
    assert check(spec, peek([str(EXAMPLES / name) for name in file.inputs], spec)) == []
