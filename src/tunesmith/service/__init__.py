"""What the product does, one folder per noun; every way in calls the same functions.

May import executors, planning, the light half of modalities, data, runs, settings and spec; never torch. A feature is a
folder of its own, and a command, an endpoint or a page only turns what was asked into one call and shows the answer.
"""
