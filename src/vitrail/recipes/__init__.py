"""One file a job: options, what is built from them, what is run, and what is handed back.

Each recipe is a frozen dataclass whose field docstrings are the command's ``--help``, and a function ``run(recipe,
report)``. None of them prints: they hand events to ``report`` and give back a summary. torch is imported when a job
runs, not when its options are read.
"""
