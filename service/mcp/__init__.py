"""Lakes for programs that speak the Model Context Protocol. They read, and change nothing."""
