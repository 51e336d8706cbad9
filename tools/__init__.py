"""Desktop tools: learn, evaluate, convert, draw. The robot never imports them."""
