from itertools import pairwise

import pytest

from lab.cluster.load import Curve, Segment, area_with, chance, disjoint, rate_with, sawtooth, split_with

CURVE = Curve(mean=5.0, seed=77, day=0.4, noise=0.4, burst=8.0, period=900.0, width=120.0)
T = 1_795_000_000.0


def test_the_area_is_the_integral_of_the_rate() -> None:
    step = 0.5
    total = sum(CURVE.rate(T + (i + 0.5) * step) * step for i in range(14_400))
    assert CURVE.between(T, T + 7200) == pytest.approx(total, rel=1e-5)


def test_rates_are_positive_and_live() -> None:
    rates = [CURVE.rate(T + 15 * i) for i in range(5760)]
    assert min(rates) > 0
    assert len({round(rate, 9) for rate in rates}) > 5000


def test_counters_never_fall_and_are_the_same_function_of_time() -> None:
    areas = [CURVE.area(T + i) for i in range(10_000)]
    assert all(later > earlier for earlier, later in pairwise(areas))
    assert areas[1234] == Curve(*CURVE).area(T + 1234)


def test_chance_is_even_and_depends_on_both_arguments() -> None:
    values = [chance(3, k) for k in range(10_000)]
    assert sum(values) / len(values) == pytest.approx(0.5, abs=0.02)
    assert 0 <= min(values) < 0.01
    assert 0.99 < max(values) < 1
    assert chance(3, 4) != chance(4, 3)


def test_a_segment_changes_rate_and_integral_alike() -> None:
    segments = (Segment(T + 100, T + 200, 0.0, 9.0),)
    assert rate_with(CURVE.rate(T + 150), segments, T + 150) == 9.0
    assert rate_with(1.5, segments, T + 200) == 1.5
    without = CURVE.between(T, T + 100) + CURVE.between(T + 200, T + 300)
    assert area_with(CURVE.between, segments, T, T + 300) == pytest.approx(without + 900)
    own, added = split_with(CURVE.between, segments, T, T + 300)
    assert own == pytest.approx(without)
    assert added == pytest.approx(900)


def test_where_segments_overlap_the_later_one_counts() -> None:
    first, second = Segment(0, 100, 0.0, 1.0), Segment(50, 150, 0.0, 2.0)
    parts = disjoint([first, second])
    assert [(p.start, p.end, p.level) for p in parts] == [(0, 50, 1.0), (50, 100, 2.0), (100, 150, 2.0)]


def test_a_disk_fills_slowly_and_is_cleaned_up() -> None:
    values = [sawtooth(T + 3600 * i, 9, 0.3, 0.5, 20 * 86_400) for i in range(24 * 40)]
    assert 0.3 <= min(values) < 0.31
    assert 0.49 < max(values) <= 0.5
    assert sum(later < earlier for earlier, later in pairwise(values)) == 2
