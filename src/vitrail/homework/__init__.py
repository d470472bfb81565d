"""A deep-learning course's exercises (EECS 182, homework 9) under the names that its notebooks use.

``mae`` and ``summarization`` hold what the notebooks call: thin, over the library's own attention, masks and patches.
The other files check it, or a student's own code, against what the course hands out, and write what is handed in.
"""
