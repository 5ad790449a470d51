"""Data that organisations bring: files, uploads that can be broken off and gone on with, and data sets made of them.

May import store, data, runs, settings, spec and service/accounts. Bytes are on the disk before a row says so.
"""
