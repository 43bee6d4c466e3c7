import pandas as pd
import pytest

from analysis.laws.stability_gap_tables import recompute_averages
from curselab.errors import InputError


def test_nine_printed_averages_disagree_with_their_columns(root):
    """Each by hand from the paper's columns, such as (29.3 + 71.0 + 30.4 + 27.6) / 4 = 39.575 against 38.5."""
    found = recompute_averages(pd.read_csv(root / "results/published/stability_gap_tables.csv"))
    odd = found[found["disagrees"]].set_index("row")
    expected = {
        "Replay 10% data with strategies I and II": (38.5, 39.575),
        "Llama-2-7B": (53.2, 55.525),
        "MEDITRON-7B": (57.5, 60.3),
        "Llama-2-70B": (67.2, 69.175),
        "MEDITRON-70B": (69.0, 71.025),
        "Mistral-7B-instruct": (37.5, 38.725),
        "Zephyr-7B-instruct-beta": (48.7, 50.2),
        "PMC-Llama-7B": (53.6, 56.425),
        "GPT-3.5-turbo-1106": (60.6, 55.2),
    }
    assert set(odd.index) == set(expected)
    for row, (printed, mean) in expected.items():
        assert odd.loc[row, "printed"] == printed
        assert odd.loc[row, "recomputed"] == pytest.approx(mean)
    assert (found["n_columns"] == 4).all()
    assert len(found) == 29
    assert found[~found["disagrees"]]["difference"].abs().max() == pytest.approx(0.05)


def test_what_cannot_be_averaged_is_a_one_line_error():
    one = pd.DataFrame({"table": ["t"], "row": ["a"], "metric": ["average_printed"], "value": [1.0]})
    with pytest.raises(InputError, match="no columns"):
        recompute_averages(one)
    with pytest.raises(InputError, match="two values"):
        recompute_averages(pd.concat([one, one]))
    with pytest.raises(InputError, match="no row has this metric"):
        recompute_averages(one, average="mean")
