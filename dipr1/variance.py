"""Box-variance statistics, under the name by which other projects import them."""

from dipr1.regions import Region, box_variance, look_targets

__all__ = ["Region", "box_variance", "look_targets"]
