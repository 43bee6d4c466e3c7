import numpy as np
import pandas as pd
import pytest

from analysis.laws.depth_table import choose_rates, read_cells, read_layers
from curselab.errors import InputError
from tests.analysis.depth_factories import CURED, PLAIN, Truth, depth_tables

NAMES = {
    "scheme": "scheme",
    "depth": "depth",
    "learning_rate": "learning_rate",
    "seed": "seed",
    "loss": "loss_nats_per_token",
}


def cells_of(runs):
    return {(cell.scheme, cell.depth): cell for cell in read_cells(runs, NAMES)}


def test_a_seed_s_rate_is_chosen_by_the_other_seeds():
    losses = np.array([[1.0, 2.0, 9.0], [2.0, 1.9, 9.0], [2.0, 1.9, 9.0]])
    assert choose_rates(losses) == [1, 0, 0]
    assert choose_rates(losses[:1]) == [0]
    losses[1, 1] = np.inf  # diverged: no rate for the others
    assert choose_rates(losses) == [0, 0, 0]
    assert choose_rates(np.full((2, 2), np.inf)) == [None, None]
    assert choose_rates(np.array([[1.0, np.nan], [2.0, 1.0]])) == [1, 0]


def test_the_choice_is_not_flattered_by_luck():
    """Five equal rates: the lowest mean is biased by luck, the rate that other seeds chose is not."""
    rng = np.random.default_rng(0)
    fair, lucky = [], []
    for _ in range(2000):
        losses = rng.standard_normal((3, 5))
        fair.append(np.mean([losses[s, i] for s, i in enumerate(choose_rates(losses))]))
        lucky.append(losses.mean(axis=0).min())
    se = np.std(fair) / 2000**0.5
    assert abs(np.mean(fair)) < 3 * se
    assert np.mean(lucky) < -0.5


def test_cells_know_their_best_rate_and_what_is_odd_about_it():
    runs, _ = depth_tables({"pre": PLAIN, "pre + scaled init": CURED, "peri": Truth(PLAIN.loss, PLAIN.variance, best=9.0)})
    cells = cells_of(runs)
    assert set(cells) == {(name, depth) for name in ("pre", "pre + scaled init", "peri") for depth in (6, 12, 24)}
    cell = cells["pre", 12]
    assert cell.rates == (1e-3,) * 3
    assert cell.losses == pytest.approx(2 - 0.05 * np.log(2), abs=0.06)
    assert (cell.n_runs, cell.n_diverged, cell.notes) == (9, 0, ())
    assert [note.code for note in cells["peri", 6].notes] == ["rate_at_end"]
    alone = cells_of(runs[runs["seed"] == 0])["pre", 12]
    assert "winners_curse" in [note.code for note in alone.notes]


def test_a_scheme_s_own_initialisation_goes_without_saying():
    runs, _ = depth_tables({"deepnorm + deepnorm init": PLAIN})
    assert {scheme for scheme, _ in cells_of(runs)} == {"deepnorm"}
    assert {scheme for scheme, _ in cells_of(runs.drop(columns="initialisation"))} == {"deepnorm"}


def test_diverged_runs_count_and_are_named():
    runs, layers = depth_tables(
        {"post": Truth(PLAIN.loss, PLAIN.variance, diverges=((24, 0.3), (24, 1.0), (24, 3.0), (12, 1.0)))}
    )
    cells = cells_of(runs)
    dead = cells["post", 24]
    assert (dead.n_runs, dead.n_diverged, dead.alive) == (9, 9, False)
    assert dead.run_ids == (None,) * 3
    assert [note.code for note in dead.notes] == ["seeds_lost"]
    assert cells["post", 12].n_diverged == 3
    assert 1e-3 not in cells["post", 12].rates
    assert read_layers(layers).profiles(dead, "residual_variance") is None


def test_a_seed_that_diverges_at_the_chosen_rate_has_no_loss():
    runs, _ = depth_tables({"post": PLAIN}, depths=(6,))
    lost = (runs["learning_rate"] == 1e-3) & (runs["seed"] == 2)
    runs.loc[lost, "status"], runs.loc[lost, "loss_nats_per_token"] = "diverged", np.nan
    cell = cells_of(runs)["post", 6]
    # the others saw it diverge, so they take another rate; it was chosen by them
    assert np.isnan(cell.losses).tolist() == [False, False, True]
    assert 1e-3 not in cell.rates[:2]


def test_layers_are_those_of_the_chosen_run_at_its_first_or_last_step():
    runs, layers = depth_tables({"lns": CURED}, scatter=0.0)
    cell, table = cells_of(runs)["lns", 12], read_layers(layers)
    x = np.arange(1.0, 13.0)
    np.testing.assert_allclose(table.profiles(cell, "residual_variance"), np.tile(1 + 0.4 * x, (3, 1)))
    np.testing.assert_allclose(table.profiles(cell, "residual_variance", first=True), np.tile(1 + x, (3, 1)))
    steps, last = table.over_steps(cell, "residual_variance")
    assert steps.tolist() == [10, 30, 100]
    np.testing.assert_allclose(last[:, -1], 1 + 0.4 * 12)
    assert table.profiles(cell, "ellipticity") is None


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda runs: runs.iloc[:0], "no rows"),
        (lambda runs: runs.drop(columns="scheme"), "column 'scheme' is missing"),
        (lambda runs: pd.concat([runs, runs.iloc[:1]]), "two runs of one seed and learning rate"),
        (lambda runs: runs.assign(width=range(len(runs))), "runs of different width"),
        (lambda runs: runs.assign(loss_nats_per_token=-1.0), "loss_nats_per_token is -1.0"),
    ],
)
def test_bad_runs_are_one_line(spoil, words):
    runs, _ = depth_tables({"pre": PLAIN}, depths=(6,))
    with pytest.raises(InputError, match=words):
        cells_of(spoil(runs))


def test_bad_layers_are_one_line():
    runs, layers = depth_tables({"pre": PLAIN}, depths=(6,))
    with pytest.raises(InputError, match="stands twice"):
        read_layers(pd.concat([layers, layers.iloc[:1]]))
    with pytest.raises(InputError, match="column 'part' is missing"):
        read_layers(layers.drop(columns="part"))
    cell = cells_of(runs)["pre", 6]
    cut = layers[~((layers["run_id"] == cell.run_ids[0]) & (layers["layer"] == 3))]
    with pytest.raises(InputError, match="different layers in different seeds"):
        read_layers(cut).profiles(cell, "residual_variance")
