# Where the images of gateway and control plane are pushed to (docs/deploy.md).

locals {
  repositories = {
    gateway       = var.deployment_name
    control-plane = "${var.deployment_name}-control-plane"
  }
}

resource "aws_ecr_repository" "this" {
  for_each     = local.repositories
  name         = each.value
  force_delete = !var.deletion_protection
  # Machines are told an image by its digest; a tag may move, as `latest` does.
  image_tag_mutability = "MUTABLE"

  image_scanning_configuration {
    scan_on_push = true
  }

  encryption_configuration {
    encryption_type = "AES256"
  }
}

resource "aws_ecr_lifecycle_policy" "this" {
  for_each   = aws_ecr_repository.this
  repository = each.value.name
  policy = jsonencode({
    rules = [
      {
        rulePriority = 1
        description  = "The newest 20 images are kept; machines run older ones until they are replaced, and need no repository for that."
        selection    = { tagStatus = "any", countType = "imageCountMoreThan", countNumber = 20 }
        action       = { type = "expire" }
      }
    ]
  })
}
