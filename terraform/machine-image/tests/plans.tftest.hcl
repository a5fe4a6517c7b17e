# Plans without an account.

provider "aws" {
  region                      = "us-west-2"
  access_key                  = "none"
  secret_key                  = "none"
  skip_credentials_validation = true
  skip_requesting_account_id  = true
  skip_metadata_api_check     = true
}

override_data {
  target = data.aws_caller_identity.current
  values = { account_id = "123456789012" }
}

run "docker_alone" {
  command = plan

  assert {
    condition     = length(aws_iam_role_policy.pull) == 0 && strcontains(aws_imagebuilder_component.docker.data, "dnf install -y -q docker")
    error_message = "Without a gateway there is Docker, and nothing to pull."
  }
  assert {
    condition     = endswith(aws_imagebuilder_image_recipe.machine.parent_image, ":aws:image/amazon-linux-2023-x86/x.x.x")
    error_message = "The newest Amazon Linux 2023 is built upon."
  }
}

run "with_the_gateway_on_arm" {
  command = plan
  variables {
    architecture  = "arm64"
    gateway_image = "123456789012.dkr.ecr.us-west-2.amazonaws.com/team/openclaw@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
  }

  assert {
    condition     = strcontains(aws_iam_role_policy.pull[0].policy, ":repository/team/openclaw\"")
    error_message = "The builder pulls from the gateway's repository, and from no other."
  }
  assert {
    condition     = one(aws_imagebuilder_infrastructure_configuration.machine.instance_types) == "t4g.medium"
    error_message = "An image is built on a machine of its architecture."
  }
}

run "a_tag_is_refused" {
  command = plan
  variables { gateway_image = "123456789012.dkr.ecr.us-west-2.amazonaws.com/openclaw:latest" }
  expect_failures = [var.gateway_image]
}

run "a_subnet_without_a_group_is_refused" {
  command = plan
  variables { subnet_id = "subnet-0123456789abcdef0" }
  expect_failures = [var.security_group_id]
}
