"""`python -m lipsync_edge` is `lipsync-edge`."""

from lipsync_edge.cli import main

raise SystemExit(main())
