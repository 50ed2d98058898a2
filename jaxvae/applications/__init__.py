"""What trained systems are used for: functions of a system's capabilities, its parameters and images."""
