"""What the experiments share beside the library."""
