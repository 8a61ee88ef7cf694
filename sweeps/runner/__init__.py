"""One running sweep: loop, trial queue, recording, stopping, control, ownership, warm start."""
