"""Live lip sync for hobby robot heads: sound in, servo pulses out, in step."""

__version__ = "0.1.0"
