"""The shapes world: moving coloured shapes, what can be said of them, and an oracle that reads pixels.

    seed -> Scene -> frames        world.py, render.py
    Scene -> words                 language.py
    frames -> facts                oracle.py (knows no model)

Numpy alone. Only training, evaluation and tests may import it: nothing that serves knows the world.
"""
