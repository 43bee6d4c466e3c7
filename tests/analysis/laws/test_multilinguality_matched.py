import numpy as np
import pandas as pd

from analysis.laws.multilinguality_gain import Gains
from analysis.laws.multilinguality_matched import over_matched


def _gains(mixture, point, added=(1e5, 3e5, 1e6)):
    """Gains without noise: cells by languages."""
    values = np.asarray(point, dtype=float)
    cells = pd.DataFrame({"mixture": mixture, "params": 1e5, "tokens": 1e5, "added": added[: len(values)]})
    some = np.full(values.shape, 0.01)
    return Gains(
        cells,
        tuple(f"l{i}" for i in range(values.shape[1])),
        values,
        np.broadcast_to(values, (3, *values.shape)),
        log_loss=1 - values,
        noise=some,
        fall=values,
        fall_error=some,
        dof=some,
        state=np.full(values.shape, "measured"),
    )


def test_the_baseline_is_the_best_number_of_passes_up_to_the_mixture_s_compute():
    """More passes help at first and then overfit: a mixture as long as the overfitted run is not flattered by it."""
    alone = _gains("matched", [[0.1] * 3, [0.3] * 3, [-0.9] * 3])
    over = over_matched(_gains("near", [[0.2] * 3, [0.5] * 3, [0.4] * 3]), alone)
    np.testing.assert_allclose(over.point, np.array([[0.1] * 3, [0.2] * 3, [0.1] * 3]))
    np.testing.assert_allclose(over.fall, over.point)


def test_where_no_passes_pay_the_baseline_is_the_curve_itself():
    over = over_matched(_gains("near", [[0.2, 0.3, 0.4]]), _gains("matched", [[-0.1, -0.2, -0.1]]))
    np.testing.assert_allclose(over.point, [[0.2, 0.3, 0.4]])


def test_each_language_is_told_by_the_others():
    """The first language's lucky run at many passes is not chosen for it, since the others lose there."""
    alone = _gains("matched", [[0.1, 0.1, 0.1], [0.9, -0.5, -0.6]])
    over = over_matched(_gains("near", np.zeros((2, 3))), alone)
    assert over.point[1, 0] == -0.1
    two = over_matched(_gains("near", np.zeros((2, 2))), _gains("matched", [[0.1, 0.1], [0.9, -0.5]]))
    np.testing.assert_allclose(two.point[1], [-0.1, 0.5])
    single = over_matched(_gains("near", [[0.0], [0.0]]), _gains("matched", [[0.1], [0.9]]))
    np.testing.assert_allclose(single.point[:, 0], [-0.1, -0.9])


def test_cells_without_a_run_of_their_compute_have_no_baseline():
    alone = _gains("matched", [[0.1] * 2], added=(1e5,))
    over = over_matched(_gains("near", [[0.2] * 2, [0.5] * 2]), alone)
    assert np.isnan(over.point[1]).all()
    assert over_matched(_gains("near", [[0.2] * 2], added=(2e5,)), alone) is None


def test_a_choice_on_noise_does_not_favour_the_baseline():
    """On runs alone that are worth nothing, the mean over tables of what is above the baseline stays at the gain itself."""
    rng = np.random.default_rng(0)
    means = []
    for _ in range(300):
        over = over_matched(_gains("near", np.zeros((3, 6))), _gains("matched", 0.1 * rng.standard_normal((3, 6))))
        means.append(over.point[2].mean())
    assert abs(np.mean(means)) < 4 * np.std(means) / np.sqrt(len(means))
