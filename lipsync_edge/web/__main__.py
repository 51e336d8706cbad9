"""`python -m lipsync_edge.web` is `lipsync-edge-web`."""

from lipsync_edge.web.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
