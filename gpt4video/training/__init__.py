"""Training the embedded model on the shapes world, in stages that run alone and resume after a kill.

data.py      seeds to batches     loop.py      one optimisation loop for every stage
stages/      what each stage learns and ships
"""
