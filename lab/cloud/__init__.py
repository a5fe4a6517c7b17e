"""An AWS account to test against: moto in process, with what it lacks, and a data plane behind it (`lab.plane`)."""
