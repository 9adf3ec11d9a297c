"""`streamgap canary`: one short probe after another, for ever, and what they show as metrics."""
