from types import SimpleNamespace

import pytest

from analysis import fit_scaling_law
from analysis.decisions.side_by_side import side_by_side
from curselab.errors import InputError
from tests.analysis.factories import scaling_runs

COLUMNS = {"params": "params_total", "loss": "loss_nats_per_token", "bootstrap": 50}


def test_equal_symbols_stand_next_to_each_other():
    fits = {name: fit_scaling_law(scaling_runs(noise=0.001, seed=seed), **COLUMNS) for seed, name in enumerate("ab")}
    table = side_by_side(fits)
    assert table["symbol"].tolist() == [symbol for symbol in fits["a"].symbols for _ in "ab"]
    assert table["fit"].tolist() == ["a", "b"] * 5
    first = table[table["fit"] == "b"].set_index("symbol")["value"]
    assert first.to_dict() == fits["b"].params.to_dict()


def test_fits_of_different_laws_are_refused():
    forms = {name: SimpleNamespace(law="scaling", form=SimpleNamespace(name=name)) for name in ("chinchilla", "kaplan")}
    with pytest.raises(InputError, match="one law are needed, these are chinchilla of chinchilla, kaplan of kaplan"):
        side_by_side(forms)
    with pytest.raises(InputError, match="chinchilla of chinchilla, gap of capacity_gap"):
        side_by_side({"chinchilla": forms["chinchilla"], "gap": SimpleNamespace(law="capacity_gap")})
