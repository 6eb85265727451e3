"""How good a checkpoint is, measured on a part of the shapes world that no training has seen.

metrics.py          a share of right answers with its interval, and the bars it should pass
play.py             many conversations side by side; what the drawer made, read back from its mp4
questions.py        \\
conversations.py     } what is asked, and what is right
drawings.py         /
vae.py              the drawer's VAE alone
tasks.py            the table of all measures, and the loop over it
run.py              a config -> a JSON file; can be stopped and started again
report.py           the JSON as a table in Markdown
"""
