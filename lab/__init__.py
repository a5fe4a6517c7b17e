"""An AWS to test against: moto in process, with what it lacks, and a real data plane behind it."""
