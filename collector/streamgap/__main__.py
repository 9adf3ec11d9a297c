"""`python -m streamgap` is `streamgap`."""

from streamgap.cli import main

raise SystemExit(main())
