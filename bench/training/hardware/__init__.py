"""What a process computes on.

compute         device and precision, and the settings of a process that trains
environment     versions and hardware, for records
bfloat16_speed  whether bfloat16 saves time on this processor
"""

__all__ = ["bfloat16_speed", "compute", "environment"]
