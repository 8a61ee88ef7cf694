"""What a trained network is judged by: metrics, mistakes, calibration, robustness."""
