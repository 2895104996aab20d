"""From the command line to a spec: how the inputs are written."""

from __future__ import annotations

from typing import Any

import click
import pytest
from click.testing import CliRunner

from batchmill.commands import options
from batchmill.contracts.spec import BatchSpec, CsvOptions
from batchmill.domain.errors import SpecInvalid


def spec(*arguments: str) -> BatchSpec:
    found: list[BatchSpec] = []

    @click.command()
    @options.spec_options
    def command(**given: Any) -> None:
        found.append(options.spec_of(given))

    result = CliRunner().invoke(command, ["--prompt", "{{ text }}", *arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return found[0]


def test_nothing_said_of_the_inputs_is_left_to_their_names_and_content() -> None:
    assert spec() == BatchSpec.model_validate({"prompt": "{{ text }}"})


@pytest.mark.parametrize("form", ["openai", "jsonl", "csv", "tsv", "text", "parquet"])
def test_every_format_can_be_given(form: str) -> None:
    if form == "openai":
        with pytest.raises(SpecInvalid, match="carry their own bodies"):
            spec("--format", form)
    else:
        assert spec("--format", form).format == form


def test_a_compression_and_a_manifest_can_be_given() -> None:
    found = spec("--compression", "zstd", "--manifest")
    assert (found.compression, found.manifest) == ("zstd", True)


def test_how_a_csv_is_written_can_be_given() -> None:
    found = spec("--delimiter", "\\t", "--names", "a, b", "--no-quoted-newlines").csv
    assert found == CsvOptions(delimiter="\t", names=["a", "b"], quoted_newlines=False)
    assert spec("--delimiter", ";").csv == CsvOptions(delimiter=";")
