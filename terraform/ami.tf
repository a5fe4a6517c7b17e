# Amazon Linux 2023, where no other image is named. One with Docker and the gateway's image on it saves each spare their installation:
# machine-image/ builds it.

data "aws_ssm_parameter" "al2023" {
  for_each = toset(concat(
    var.ami_id == "" ? [var.architecture] : [],
    var.control_plane_ami_id == "" ? ["x86_64"] : [],
  ))
  name = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-${each.key}"
}

locals {
  ami_id               = var.ami_id != "" ? var.ami_id : nonsensitive(data.aws_ssm_parameter.al2023[var.architecture].value)
  control_plane_ami_id = var.control_plane_ami_id != "" ? var.control_plane_ami_id : nonsensitive(data.aws_ssm_parameter.al2023["x86_64"].value)
}
