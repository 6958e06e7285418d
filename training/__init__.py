"""Makes and measures models such as `builtin`:
reads labelled images, fits two towers, writes a model folder.

Imports indexer and is imported by nothing but the verb `lakesift train`; needs `pip install
'lakesift[train]'`.
"""
