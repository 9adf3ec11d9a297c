"""How long a path lets a stream be silent: one rung of parallel streams instead of one bisection after another.

plan (which streams) → probes → fate (what became of each) → judge (what they show together) → findings, advice.
"""
