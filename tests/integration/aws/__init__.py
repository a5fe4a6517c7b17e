"""The AWS provider's parts, each against what stands for AWS."""
