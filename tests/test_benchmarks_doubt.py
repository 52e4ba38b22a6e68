"""The fit of doubt finds which signs tell, and its doubt is the mean error."""

import math

import numpy as np
import pytest

from benchmarks.doubt import Known, figures, fit, reliability
from stages.core.states import Source
from stages.formats.frames_csv import FrameQuality
from stages.steps.assess import Signed
from stages.steps.doubt_model import Kind

ROW = FrameQuality(1, 1, 1.0, 1.0, Source.BOTH, True, "", 9)


def made_up(count: int = 2000) -> list[Known]:
    """Masks whose error follows one sign, while another is unknown half of the time and says nothing."""
    rng, known = np.random.default_rng(0), []
    for _ in range(count):
        telling, idle = rng.normal(2, 3), rng.normal() if rng.random() < 0.5 else math.nan
        error = 1 / (1 + math.exp(2 - 0.5 * telling + rng.normal(0, 0.1)))
        signs = {"telling": telling, "idle": idle, "never known": math.nan}
        known.append(Known(Signed(ROW, 1, 0.0, Kind.CARRIED, signs), 0.0, 1 - error))
    return known


def test_a_fit_finds_the_sign_that_tells_and_doubts_as_much_as_is_wrong() -> None:
    known = made_up()
    formula = fit(known, Kind.CARRIED)
    judged = [Known(each.signed, formula.doubt(each.signed.signs), each.quality) for each in known if each.signed]
    found = figures(judged)
    assert formula.weights["telling"].weight > 10 * getattr(formula.weights.get("idle"), "weight", 0)
    assert "never known" not in formula.weights
    assert found["bias"] == pytest.approx(0, abs=0.005)
    assert found["rank"] > 0.95 and found["AUC"] > 0.97
    assert all(doubt == pytest.approx(error, abs=0.06) for doubt, error in reliability(judged))


def test_figures_are_those_of_their_definition() -> None:
    known = [Known(None, doubt, quality) for doubt, quality in ((0.1, 0.9), (0.5, 0.6), (0.2, 0.8), (0.3, 0.2))]
    found = figures(known)
    assert found["AUC"] == 1.0 and found["bad"] == 0.5
    assert found["rank"] == pytest.approx(0.8)
    assert found["error"] == pytest.approx((0 + 0.1 + 0 + 0.5) / 4)
    assert found["bias"] == pytest.approx((0 + 0.1 + 0 - 0.5) / 4)
