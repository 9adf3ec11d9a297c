"""Checks PromQL against the catalogue: metric names, labels, label values, bucket bounds and group-by labels.

It infers which labels each sub-expression has, so a `by` or a legend that names a label lost further in is found.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import promql_parser as promql

from streamgap.core.catalog import CATALOG, PROBE_CATALOG, Metric

Labels = Mapping[str, frozenset[str] | None]
TARGET_LABELS: Labels = {"job": None, "instance": None}
GRAFANA_VARIABLES = {"$__rate_interval": "5m", "$__range": "1h", "$route": ".+"}


def catalogued() -> dict[str, Labels]:
    """Return every series that the catalogue's metrics expose, with the values its labels may have."""
    known: dict[str, Labels] = {}
    for metric in (*CATALOG, *PROBE_CATALOG):
        labels = {name: None if values is None else frozenset(values) for name, values in metric.labels.items()}
        labels |= TARGET_LABELS
        if metric.kind == "histogram":
            known |= {f"{metric.name}_{part}": labels for part in ("count", "sum")}
            known[f"{metric.name}_bucket"] = labels | {"le": _bounds(metric)}
        else:
            known[metric.name] = labels
    return known


def _bounds(metric: Metric) -> frozenset[str]:
    return frozenset((*(repr(bound) for bound in metric.buckets), "+Inf"))


@dataclass(slots=True)
class Checked:
    """What one expression came to: the labels of its result, and what is wrong with it."""

    known: Mapping[str, Labels]
    labels: frozenset[str] = frozenset()
    faults: list[str] = field(default_factory=list)

    def infer(self, node: Any) -> frozenset[str]:
        """Return the labels that the node's result has."""
        match node:
            case promql.VectorSelector() | promql.MatrixSelector():
                return self._selector(getattr(node, "vector_selector", node))
            case promql.AggregateExpr():
                return self._aggregate(node)
            case promql.BinaryExpr():
                return self._binary(node)
            case promql.Call():
                return self._call(node)
            case promql.NumberLiteral() | promql.StringLiteral():
                return frozenset()
            case _:
                return self.infer(node.expr)

    def _selector(self, node: Any) -> frozenset[str]:
        labels = self.known.get(node.name)
        if labels is None:
            self.faults.append(f"{node.name}: expected a metric of the catalogue")
            return frozenset()
        for matcher in node.matchers.matchers:
            if matcher.name not in labels:
                self.faults.append(f"{node.name}: expected one of its labels {sorted(labels)}, got {matcher.name}")
                continue
            allowed = labels[matcher.name]
            exact = matcher.op in (promql.MatchOp.Equal, promql.MatchOp.NotEqual)
            for value in [matcher.value] if exact else matcher.value.split("|"):
                if allowed is not None and value not in allowed:
                    self.faults.append(f"{node.name}: expected {matcher.name} among {sorted(allowed)}, got {value!r}")
        return frozenset(labels)

    def _aggregate(self, node: Any) -> frozenset[str]:
        inner = self.infer(node.expr)
        named = frozenset(node.modifier.labels if node.modifier else ())
        self._expect(named, inner, "grouped by")
        without = node.modifier is not None and node.modifier.type == promql.AggModifierType.Without
        return inner - named if without else named

    def _binary(self, node: Any) -> frozenset[str]:
        left, right = self.infer(node.lhs), self.infer(node.rhs)
        matching = node.modifier.matching if node.modifier else None
        self._expect(frozenset(matching.labels if matching else ()), left | right, "matched on")
        return left or right

    def _call(self, node: Any) -> frozenset[str]:
        inner = frozenset[str]().union(*(self.infer(argument) for argument in node.args))
        if node.func.name != "histogram_quantile":
            return inner
        self._expect(frozenset({"le"}), inner, "histogram_quantile over")
        return inner - {"le"}

    def _expect(self, named: frozenset[str], present: frozenset[str], what: str) -> None:
        if lost := named - present:
            self.faults.append(f"{what}: expected labels among {sorted(present)}, got {sorted(lost)}")


def check(expr: str, known: Mapping[str, Labels]) -> Checked:
    """Parse and check one expression; dashboard variables are filled in first."""
    for variable, value in GRAFANA_VARIABLES.items():
        expr = expr.replace(variable, value)
    checked = Checked(known)
    try:
        parsed = promql.parse(expr)
    except ValueError as error:
        checked.faults.append(f"expected PromQL, {error}: {expr}")
        return checked
    checked.labels = checked.infer(parsed)
    return checked


def template_labels(text: str) -> set[str]:
    """Return the labels that a legend (``{{route}}``) or an annotation (``{{ .Labels.route }}``) names."""
    return set(re.findall(r"\{\{\s*(?:\.Labels\.)?(\w+)\s*\}\}", text))
