"""What the user sees of a run.

announcements  what is said before anything trains
display        the cells that are done, and the time left, while a run goes on
screens        where that is shown: on stderr, in a notebook, or nowhere
status_counts  the cells counted by status
utilisation    how busy the workers were, at the end
watch          the progress of a run that another process drives
"""

__all__ = ["announcements", "display", "screens", "status_counts", "utilisation", "watch"]
