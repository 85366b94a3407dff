"""The bootstrap: it draws what it says, covers what it should, and pairs."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import ttest_1samp

from dipr1.evaluation.intervals import (
    copies,
    over_seeds,
    percentile_interval,
    seed_copies,
    two_sided_p,
)


def test_every_resample_draws_as_many_as_there_are():
    drawn = copies(7, 50, np.random.default_rng(0))
    assert drawn.shape == (50, 7)
    assert (drawn.sum(axis=1) == 7).all()
    assert len(np.unique(drawn, axis=0)) > 40


def test_draws_are_uniform_and_repeatable():
    drawn = copies(5, 20_000, np.random.default_rng(1))
    np.testing.assert_allclose(drawn.mean(axis=0), 1.0, atol=0.03)
    # of the multinomial: variance 1 - 1/5, covariance -1/5
    np.testing.assert_allclose(np.cov(drawn.T), np.eye(5) - 1 / 5, atol=0.03)
    np.testing.assert_array_equal(drawn, copies(5, 20_000, np.random.default_rng(1)))


def test_the_mean_over_drawn_seeds_varies_as_it_should():
    values = np.array([1.0, 2.0, 6.0])
    drawn = seed_copies(3, 40_000, np.random.default_rng(2))
    means = over_seeds(np.tile(values[:, None], 40_000), drawn)
    assert means.mean() == pytest.approx(3.0, abs=0.02)
    assert means.var() == pytest.approx(values.var(ddof=1) / 3, rel=0.02)


def test_one_seed_is_always_drawn():
    drawn = seed_copies(1, 10, np.random.default_rng(0))
    values = np.arange(10.0)[None]
    np.testing.assert_array_equal(over_seeds(values, drawn), values[0])


def test_an_undefined_seed_matters_only_where_it_is_drawn():
    values = np.array([[1.0, 1.0, 1.0], [np.nan, np.nan, 3.0]])
    means = over_seeds(values, np.array([[2, 0], [1, 1], [1, 1]]))
    np.testing.assert_array_equal(means, [1.0, np.nan, 2.0])


def test_intervals_leave_undefined_resamples_out():
    values = np.r_[np.arange(101.0), np.nan]
    assert percentile_interval(values) == pytest.approx((2.5, 97.5))
    assert all(map(math.isnan, percentile_interval(np.full(3, np.nan))))


def bootstrap_means(sample: np.ndarray, rng: np.random.Generator, resamples: int = 400):
    return copies(len(sample), resamples, rng) @ sample / len(sample)


def test_intervals_cover_the_mean_reward_as_often_as_they_say():
    """Rewards of 80 images, skewed and with a lump at 0 as they are, from a known distribution."""
    rng = np.random.default_rng(5)
    truth = 0.8 * 2 / 7  # a fifth has reward 0, the others follow Beta(2, 5)
    covered = 0
    for _ in range(200):
        rewards = rng.beta(2, 5, 80) * (rng.random(80) < 0.8)
        low, high = percentile_interval(bootstrap_means(rewards, rng))
        covered += low <= truth <= high
    assert 0.90 <= covered / 200 <= 0.98


def test_intervals_over_seeds_cover_what_varies_between_trainings():
    """Five seeds, whose means differ more than those of the images."""
    rng = np.random.default_rng(6)
    both = images_only = 0
    for _ in range(200):
        difficulty = rng.normal(0, 0.2, 60)
        seeds = rng.normal(0.5, 0.1, 5)
        rewards = seeds[:, None] + difficulty + rng.normal(0, 0.1, (5, 60))
        by_seed = rewards @ copies(60, 300, rng).T / 60
        low, high = percentile_interval(over_seeds(by_seed, seed_copies(5, 300, rng)))
        both += low <= 0.5 <= high
        low, high = percentile_interval(by_seed.mean(axis=0))
        images_only += low <= 0.5 <= high
    assert 0.84 <= both / 200 <= 0.98  # five seeds are few
    assert images_only / 200 < 0.75


def test_p_is_that_of_a_paired_test():
    rng = np.random.default_rng(7)
    for shift in (0.0, 0.02, 0.04):
        differences = rng.normal(shift, 0.1, 100)
        found = two_sided_p(bootstrap_means(differences, rng, 4000))
        assert found == pytest.approx(ttest_1samp(differences, 0.0).pvalue, abs=0.03)


def test_p_of_no_difference_at_all_is_one():
    assert two_sided_p(np.zeros(100)) == 1.0
    assert two_sided_p(np.ones(99)) == 2 / 100
    assert math.isnan(two_sided_p(np.full(2, np.nan)))
