"""Interleaved rounds: what makes ratios hold on a machine whose speed drifts.

Every round runs every variant once, in random order, so a slow minute hits all alike. What is compared is the median of
CPU time (scheduler's account), never wall time.
"""

import random
from collections.abc import Callable, Mapping
from statistics import median


def interleaved(variants: Mapping[str, Callable[[], float]], *, rounds: int, warm_up: int = 1) -> dict[str, float]:
    """Return each variant's median over `rounds` interleaved runs; each run returns its own figure."""
    order = list(variants)
    figures: dict[str, list[float]] = {name: [] for name in order}
    for nth in range(rounds + warm_up):
        random.shuffle(order)
        for name in order:
            figure = variants[name]()
            if nth >= warm_up:
                figures[name].append(figure)
    return {name: median(values) for name, values in figures.items()}


def verdict(measured: float, aim: float, *, at_most: bool) -> str:
    """Say whether an aim was met."""
    met = measured <= aim if at_most else measured >= aim
    return f"aim {'≤' if at_most else '≥'} {aim:.3g}: {'met' if met else 'NOT met'}"
