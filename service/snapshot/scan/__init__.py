"""Reading the rows once for several queries, or fewer bytes of them for one."""
