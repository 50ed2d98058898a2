"""Applications of trained systems: functions of a system's capabilities, its parameters and images."""
