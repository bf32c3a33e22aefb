"""What the user sees of a run.

announcements  what is said before anything trains
display        the cells that are done, and the time left, while a run goes on
utilisation    how busy the workers were, at the end
watch          the progress of a run that another process drives
"""

__all__ = ["announcements", "display", "utilisation", "watch"]
