import numpy as np
import pytest

from analysis.laws.depth_published import published_exponents, published_gaps, read_published


def test_rows_are_marked_and_sourced():
    rows = read_published()
    assert set(rows["status"]) == {"ok", "diverged", "read_off", "bound"}
    assert set(rows["trust"]) == {"primary", "secondary"}
    assert rows["source"].str.len().min() > 10
    assert not rows.duplicated(["study", "table", "model", "scheme", "metric", "layers"]).any()
    # perplexities above a thousand are those of models that did not train
    assert set(rows.loc[rows["value"].gt(1000) & (rows["unit"] == "perplexity"), "status"]) == {"diverged"}
    code = rows[(rows["scheme"] == "deepnorm") & rows["study"].isin(["sun_2025", "li_2024"])]
    assert code["note"].str.contains("gain").all()


def test_the_rows_are_those_of_the_papers(shared):
    """Table 1 of Sun et al., by hand."""
    rows = read_published()
    first = rows[(rows["study"] == "sun_2025") & (rows["table"] == "T1")].set_index(["scheme", "model"])["value"]
    assert first["pre"].tolist() == [26.73, 21.92, 19.58, 17.02]
    assert first["lns"].tolist() == [25.76, 20.35, 18.2, 15.71]


def test_gaps_of_layer_norm_scaling():
    """-3.6, -7.2, -7.0 and -7.7 % of perplexity first reported; -1.5, -5.0 and -3.8 % where rates were tuned."""
    gaps = published_gaps().set_index(["study", "table"])["gap"]
    assert 100 * np.expm1(gaps["sun_2025", "T1"].to_numpy()) == pytest.approx([-3.6, -7.2, -7.0, -7.7], abs=0.06)
    assert 100 * np.expm1(gaps["prores_2026", "T2"].to_numpy()) == pytest.approx([-1.5, -5.0, -3.8], abs=0.06)


def test_diverged_rows_have_no_gap():
    post = published_gaps("post")
    dead = post["status"] == "diverged"
    assert dead.sum() == 5
    assert post.loc[dead, "gap"].isna().all()
    assert post.loc[~dead, "gap"].notna().all()


def test_exponents_of_the_published_sweep_over_depths():
    """Useful blocks grow like L^0.40, the last variance like L^1.8 (peak) and L^1.1 (end); powers fit the variances better."""
    found = published_exponents().set_index("quantity")
    assert found["exponent"].tolist() == pytest.approx([0.40, 1.8, 1.1], abs=0.02)
    assert (found["lower"] < found["exponent"]).all()
    assert (found["exponent"] < found["upper"]).all()
    assert found.loc["useful blocks", "upper"] < 1
    assert found["rss_ratio"].iloc[1:].tolist() == pytest.approx([2, 2], abs=0.3)
