"""The formats of annotation tools and trainers: what a filter decided goes out, labels come back.

Each format is one module and one entry of `format_list`. `exporting` writes images in any of them,
`read_labels` reads labels from those that bring some. This package knows nothing of filters,
HTTP or the CLI.
"""
