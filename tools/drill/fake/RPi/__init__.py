"""Pins of a computer that has none: the drill puts this before the robot in place of RPi.GPIO."""
