"""`streamgap conformance URL`: asks an endpoint of streamed answers a few times, and judges the rules of reconnects."""
