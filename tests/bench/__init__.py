"""How fast the console is: beside hand-written SQL, other ways to do the same, and itself when it
is small. Every figure is a ratio of two things measured in turns in one run, so that the machine
and its mood cancel out.
"""
