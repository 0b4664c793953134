"""The proof machinery: claims, experiments, verdicts, records and reports. It knows no paper."""
