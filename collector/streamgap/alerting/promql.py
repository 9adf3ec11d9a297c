"""The few PromQL phrases that rules and panels are made of, spoken about the catalogue's metrics."""

from typing import Literal

from streamgap.core.catalog import Metric

Part = Literal["", "_bucket", "_count", "_sum"]


def series(metric: Metric, *matchers: str, part: Part = "") -> str:
    """Return a selector: ``name{a="b",c="d"}``."""
    return f"{metric.name}{part}" + (f"{{{','.join(matchers)}}}" if matchers else "")


def matcher(label: str, value: str) -> str:
    """Return ``label="value"``."""
    return f'{label}="{value}"'


def any_of(label: str, *values: str) -> str:
    """Return ``label=~"a|b"``: one of the values."""
    return f'{label}=~"{"|".join(values)}"'


def up_to(metric: Metric, bound_s: float) -> str:
    """Return the matcher of the bucket that ends at `bound_s` seconds; ValueError where there is no such boundary."""
    if bound_s not in metric.buckets:
        raise ValueError(f"{metric.name}: expected one of its boundaries {metric.buckets}, got {bound_s}")
    # prometheus-client writes 1 s as "1.0", and a string is what is compared.
    return matcher("le", repr(float(bound_s)))


def summed(inner: str, *by: str) -> str:
    """Return the sum over everything but the labels `by`."""
    return f"sum by ({', '.join(by)}) ({inner})" if by else f"sum({inner})"


def greatest(inner: str, *by: str) -> str:
    """Return the greatest value per group of `by`."""
    return f"max by ({', '.join(by)}) ({inner})"


def increase(metric: Metric, window: str, *matchers: str, part: Part = "") -> str:
    """Return how much a counter grew within the window. It extrapolates: 5 may read as 4.97."""
    return f"increase({series(metric, *matchers, part=part)}[{window}])"


def rate(metric: Metric, window: str, *matchers: str, part: Part = "") -> str:
    """Return a counter's growth per second over the window."""
    return f"rate({series(metric, *matchers, part=part)}[{window}])"


def quantile(q: float, metric: Metric, window: str, *matchers: str, by: tuple[str, ...] = ()) -> str:
    """Return the q-quantile of a histogram over the window, per group of `by`."""
    return f"histogram_quantile({q}, {summed(rate(metric, window, *matchers, part='_bucket'), 'le', *by)})"


def at_least(count: int) -> str:
    """Return the comparison for "at least `count`" that survives the extrapolation of `increase`."""
    return f">= {count - 0.5}"
