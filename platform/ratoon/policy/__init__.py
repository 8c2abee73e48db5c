"""When a retrain is worth it: policies, signals, and the pure decision."""
