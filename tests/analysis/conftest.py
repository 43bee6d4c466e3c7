import pandas as pd
import pytest

from analysis.laws.scaling import fit_scaling_law


@pytest.fixture(scope="session")
def chinchilla_runs(pytestconfig):
    """Hoffmann et al.'s runs as digitised by Besiroglu et al., without the five largest losses."""
    path = pytestconfig.rootpath.parent / "shared/data/chinchilla/fit_chinchilla_epoch.csv"
    if not path.is_file():
        pytest.skip("shared/ with published data is absent beside the checkout")
    data = pd.read_csv(path)
    data["tokens"] = data["flops"] / (6 * data["params"])
    return data[data["kept_by_epoch"] == 1].reset_index(drop=True)


@pytest.fixture(scope="session")
def chinchilla_fit(chinchilla_runs):
    """The law of Hoffmann et al. fitted to them, with the default 4000 resamples."""
    return fit_scaling_law(chinchilla_runs)
