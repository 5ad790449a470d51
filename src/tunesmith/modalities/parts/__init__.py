"""What several modalities are built of: pieces for the loop, how models are asked, pictures at the size of a model.

May import what a modality may; ``picture_sizes`` is light (no torch). What only one modality needs stays in its folder.
"""
