"""What others might ask and post: held-out sets that no template and no renderer of the shapes world made.

    python -m benchmarks.quality --config shapes --json outside.json

handwritten.py        300 questions and requests written by hand (tests/handwritten.yaml)
second_renderer.py    500 clips drawn by another program (tests/second_renderer.py)
"""
