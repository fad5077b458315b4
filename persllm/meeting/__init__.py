"""Several agents in a scene: turns, transcripts, figures, and scans over stages. `persllm meet` is its face."""

from persllm.meeting.comparison import Results, meet, results_of, rows_of
from persllm.meeting.course import Meeting
from persllm.meeting.scene import Scene, bundled, read_scene
from persllm.meeting.stage_scan import scan
from persllm.meeting.turn import Turn

__all__ = ["Meeting", "Results", "Scene", "Turn", "bundled", "meet", "read_scene", "results_of", "rows_of", "scan"]
