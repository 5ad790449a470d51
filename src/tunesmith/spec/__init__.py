"""What people ask for and what runs say: types only, no input or output.

May import nothing else of tunesmith. A setting of a recipe is one field with a docstring in ``recipe.py``; an error is
one class in ``errors/``; an event is one class in ``events.py``.
"""
