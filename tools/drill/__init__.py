"""The fault drill: what a head does when things break, measured from outside.

The servo board is a simulated one in the drill's own process, so it outlives the robot; the sound
card is that of a real sound server; what systemd does is done by its rules and by the values of the
unit file. The robot is the unmodified program.
"""
