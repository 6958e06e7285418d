"""The `lakesift` command. Only here is anything printed.
A verb's arguments stand beside its action.
"""
