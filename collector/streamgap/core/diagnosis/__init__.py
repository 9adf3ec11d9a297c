"""From the probes of one URL to what is wrong with its path: every known way of holding is tried on what was written.

`shape` looks at one probe, `holders` simulate, `proposals` and `fitting` find the one that foretells what came, `cells`
and `blame` compare probes that differ in one thing, the others put it into findings. Told in docs/diagnosis.md.
"""

from streamgap.core.diagnosis.judging import diagnose

__all__ = ["diagnose"]
