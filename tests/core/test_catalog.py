"""The catalogue follows Prometheus naming and carries every threshold as a boundary."""

import re

import pytest

from streamgap.core import catalog
from streamgap.core.catalog import CATALOG, PROBE_CATALOG, Metric
from streamgap.core.verdict import DEFAULT_THRESHOLDS

EVERY = (*CATALOG, *PROBE_CATALOG)


@pytest.mark.parametrize("metric", EVERY, ids=lambda metric: metric.name)
def test_names_follow_the_conventions(metric: Metric) -> None:
    """Counters end in _total, histograms in their base unit, and every family has help."""
    assert re.fullmatch(r"streamgap_[a-z_]+", metric.name)
    assert metric.name.endswith("_total") == (metric.kind == "counter")
    assert metric.name.endswith("_seconds") == (metric.unit == "seconds")
    assert bool(metric.buckets) == (metric.kind == "histogram")
    assert list(metric.buckets) == sorted(set(metric.buckets))
    assert metric.help.endswith(".")


def test_no_name_is_declared_twice_and_none_is_left_out() -> None:
    """The two catalogues hold every Metric of the module once."""
    declared = [value for value in vars(catalog).values() if isinstance(value, Metric)]
    assert sorted(m.name for m in declared) == sorted({m.name for m in EVERY})


def test_thresholds_are_bucket_boundaries() -> None:
    """A share beyond a threshold can be read from the buckets exactly."""
    assert DEFAULT_THRESHOLDS.hold / 1000 in catalog.HOLD.buckets
    assert DEFAULT_THRESHOLDS.gap / 1000 in catalog.GAP.buckets
    assert DEFAULT_THRESHOLDS.model / 1000 in catalog.STAGE.buckets
