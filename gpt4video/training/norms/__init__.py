"""The study of where to normalise: small decoders, one for each setting, trained, looked into and compared.

config.py   which settings           text.py     what they read
arm.py      one setting, trained     measure.py  what is read off a model
results.py  all arms, and tables     claims.py   what the papers say, and what was found
speed.py    LayerNorm, RMSNorm, CRMSNorm: equal, and how fast
plots.py    the pictures             run.py      `gpt4video norms`
"""
