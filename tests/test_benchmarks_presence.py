import numpy as np

from benchmarks.presence import Tally, score


def test_visible_objects_count_by_their_j_absent_ones_by_whether_they_are_painted():
    truth = np.zeros((40, 60), np.uint8)
    truth[:10, :10], truth[:10, 20:30] = 1, 2
    assert score(truth, truth, (1, 2)) == Tally(2.0, 2, 0, 0, 0, 200)
    labels = truth.copy()
    labels[:5, :10] = 2  # half of the first one is called the second
    labels[20:30, :3] = 3  # and something is painted that is not there
    found = score(truth, labels, (1, 2, 3))
    assert found == Tally(0.5 + 100 / 150, 2, 1, 1, 50, 200)
    assert found.figures()["painted"] == 1
    assert found.figures()["foreign"] == 0.25


def test_twenty_pixels_are_not_painted():
    truth, labels = np.zeros((2, 40, 60), np.uint8)
    labels[0, :20] = 1
    assert score(truth, labels, (1,)).figures()["painted"] == 0
