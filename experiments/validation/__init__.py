"""How far the model may be believed: real and model on scenarios that calibration never saw."""
