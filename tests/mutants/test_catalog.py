"""The list of mutants fits the code: each replaces a text that is there once, by code that compiles."""

from pathlib import Path

import pytest

from tests.mutants.catalog import MUTANTS, Mutant, StaleMutant


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_applies_to_the_code_as_it_is(root: Path, mutant: Mutant) -> None:
    broken = mutant.apply((root / mutant.path).read_text("utf-8"))

    compile(broken, mutant.path, "exec")
    assert all((root / test.partition("::")[0]).is_file() for test in mutant.tests)


def test_each_mutant_has_a_name_of_its_own() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)


@pytest.mark.parametrize("source", ["", "old old"])
def test_a_mutant_that_no_longer_fits_is_reported_as_stale(source: str) -> None:
    with pytest.raises(StaleMutant, match="the list is stale"):
        Mutant("a name", "a path", "old", "new", ()).apply(source)
